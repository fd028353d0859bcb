"""Binarized neural networks for Keras 3: train, convert to packed bits, run on the stock LiteRT runtime.

| name | what it holds | what it needs |
| --- | --- | --- |
| `keras_bnn.layers`, `.quantizers`, `.constraints` | what a model is built of | Keras |
| `keras_bnn.convert`, `keras_bnn.converter` | from a model to a packed .tflite | TensorFlow, for Keras models |
| `keras_bnn.runtime` | runs packed .tflite files | numpy and LiteRT (or tflite-runtime, or TensorFlow) |

`import keras_bnn` is cheap: a name is imported when it is first used, and with it what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bnn import constraints, converter, layers, quantizers, runtime
    from keras_bnn.converter import convert

    __version__: str

__all__ = ["__version__", "constraints", "convert", "converter", "layers", "quantizers", "runtime"]

_SUBPACKAGES = frozenset({"constraints", "converter", "layers", "quantizers", "runtime"})
_TRAIN_EXTRA = frozenset({"keras", "tensorflow"})


def __getattr__(name: str) -> Any:
    """Imports the name that is asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("keras-bnn")
    try:
        if name in _SUBPACKAGES:
            return importlib.import_module(f"keras_bnn.{name}")
        if name == "convert":
            return importlib.import_module("keras_bnn.converter").convert
    except ModuleNotFoundError as error:
        if error.name in _TRAIN_EXTRA:
            raise ImportError(
                f"keras_bnn.{name} needs {error.name}, which is not installed: pip install 'keras-bnn[train]'"
            ) from error
        raise
    raise AttributeError(f"module 'keras_bnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Lists the public names, imported or not."""
    return sorted({*globals(), *__all__})
