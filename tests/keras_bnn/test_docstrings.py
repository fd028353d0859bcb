"""The examples in the public docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

from keras_bnn import layers, quantizers

PACKAGES = (
    "quantizers",
    "constraints",
    "initializers",
    "layers",
    "optimizers",
    "weights",
    "metrics",
    "callbacks",
    "binarization",
    "model_graph",
    "model_summary",
    "applications",
)


def modules() -> list[str]:
    """The packages and all their modules."""
    names = [f"keras_bnn.{package}" for package in PACKAGES]
    paths = {name: importlib.import_module(name).__path__ for name in names}
    found = [module.name for name in names for module in pkgutil.iter_modules(paths[name], f"{name}.")]
    return [*names, *found, "keras_bnn.count_text", "keras_bnn.power_of_two", "keras_bnn.unique_filters"]


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    names = {"np": np, "keras": keras, "layers": layers, "quantizers": quantizers}
    assert doctest.testmod(importlib.import_module(name), extraglobs=names).failed == 0
