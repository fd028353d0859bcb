"""The stock runtime: whichever of ai-edge-litert, tflite-runtime and TensorFlow is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from keras_bnn.runtime.library import delegate_path, load_library

# Distribution and module, best first. tf.lite comes last: it costs seconds to import.
_RUNTIMES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime", "tensorflow": "tensorflow"}


class StockRuntime(NamedTuple):
    """A runtime that nobody rebuilt.

    Attributes:
        name: Its distribution: "ai-edge-litert", "tflite-runtime" or "tensorflow".
        version: Its version.
        Interpreter: Its interpreter class.
        load_delegate: Its function that loads an external delegate.
    """

    name: str
    version: str
    Interpreter: Callable[..., Any]
    load_delegate: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def _installed() -> str:
    """Returns the name of the runtime to take."""
    forced = os.environ.get("KERAS_BNN_RUNTIME")
    if forced is not None and forced not in _RUNTIMES:
        raise ValueError(f"KERAS_BNN_RUNTIME is {forced!r}: it must be one of {', '.join(_RUNTIMES)}.")
    candidates = _RUNTIMES if forced is None else [forced]
    for name in candidates:
        if importlib.util.find_spec(_RUNTIMES[name]) is not None:
            return name
    missing = ", ".join(candidates)
    raise ImportError(f"No runtime for .tflite files is installed ({missing}): pip install {next(iter(candidates))}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # tensorflow-cpu and the like, or a copied folder
        return str(getattr(importlib.import_module(_RUNTIMES[name]), "__version__", "of unknown version"))


def check_numpy(name: str, version: str, numpy_version: str) -> None:
    """Refuses a numpy that the runtime was not built for; the runtime would raise a SystemError without a cause.

    Args:
        name: Distribution of the runtime.
        version: Its version.
        numpy_version: Version of the numpy that is installed.

    Raises:
        ImportError: when the runtime needs an older numpy.
    """
    needs_numpy_1 = name == "tflite-runtime" or (name == "ai-edge-litert" and version.startswith("1.0."))
    if needs_numpy_1 and int(numpy_version.split(".")[0]) >= 2:
        raise ImportError(
            f"{name} {version} needs numpy < 2, but numpy {numpy_version} is installed: "
            "pip install 'numpy<2', or pip install -U ai-edge-litert"
        )


@functools.cache
def stock_runtime() -> StockRuntime:
    """Returns the runtime that `Interpreter` and `load_delegate` use.

    It is ai-edge-litert where that is installed, else tflite-runtime, else TensorFlow. The environment variable
    KERAS_BNN_RUNTIME, set to one of these names, asks for that one.

    Raises:
        ImportError: when none is installed, or the installed numpy is too new for it.
        ValueError: when KERAS_BNN_RUNTIME is none of these names.
    """
    name = _installed()
    version = _version(name)
    check_numpy(name, version, np.__version__)
    if name == "tensorflow":
        lite = importlib.import_module("tensorflow").lite
        return StockRuntime(name, version, lite.Interpreter, lite.experimental.load_delegate)
    module = importlib.import_module(f"{_RUNTIMES[name]}.interpreter")
    return StockRuntime(name, version, module.Interpreter, module.load_delegate)


def load_delegate(**options: object) -> Any:
    """Returns a new delegate, for people who drive the interpreter of their runtime themselves.

    Take one delegate for each interpreter: `Interpreter(..., experimental_delegates=[load_delegate()])`.

    Args:
        **options: Options of the delegate. `isa` names the kernel set, see `cpu_info()["supported_kernel_sets"]`; the
            best one is the default. `profile=1` times each op, for the function KerasBnnGetProfile of keras_bnn.h.

    Raises:
        ImportError: when no runtime is installed.
        OSError: when the library is missing or was built for another machine.
        ValueError: when the delegate refuses an option; the message says which, and what it takes.
    """
    load_library()  # fails with a better sentence than the runtime's
    try:
        return stock_runtime().load_delegate(delegate_path(), options=options)
    except ValueError as error:  # the runtime's own line, then the delegate's
        raise ValueError(str(error).partition("\n")[2] or str(error)) from None
