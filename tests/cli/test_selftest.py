"""The networks of the self-test: all ops, exact on all kernel sets, and wrong as soon as anything in the file is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from keras_bnn.cli.selftest import networks
from keras_bnn.converter.custom_ops import OPTIONS
from keras_bnn.converter.graph import Tensor
from keras_bnn.runtime import cpu_info

NETWORKS = ("plain", "residual", "int8", "uint8", "larq")


@pytest.mark.parametrize("isa", cpu_info()["supported_kernel_sets"])
def test_outputs_are_exact(isa: str) -> None:
    assert {name: network.mistakes(isa) for name, network in networks().items()} == dict.fromkeys(NETWORKS, 0)


def test_every_op_is_there() -> None:
    registry = Path(__file__).resolve().parents[2] / "cc_ops" / "ops" / "op.cc"
    of_the_library = set(re.findall(r'{"(\w+)", Origin::', registry.read_text()))
    assert of_the_library >= set(OPTIONS)
    assert {op.kind for network in networks().values() for op in network.graph.ops} == of_the_library


@pytest.mark.parametrize("name", NETWORKS)
def test_every_constant_counts(name: str) -> None:
    count = sum(tensor.is_constant for op in networks()[name].graph.ops for tensor in op.inputs if tensor is not None)
    assert count >= 3
    for place in range(count):
        network = networks()[name]
        constants = [
            tensor for op in network.graph.ops for tensor in op.inputs if tensor is not None and tensor.is_constant
        ]
        change(constants[place])
        assert network.mistakes("scalar") > 0, constants[place].name


def change(constant: Tensor) -> None:
    """Gives a constant other values: the opposite numbers, larger thresholds, or another first channel."""
    values = constant.values
    if values.dtype == np.float32:
        changed = -values
    elif values.ndim == 1:
        changed = values + 100
    else:
        changed = values ^ 1
    constant.buffer = changed.reshape(-1).view(np.uint8)
