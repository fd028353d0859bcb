"""Binarized neural networks for Keras 3: train, convert to packed bits, run on the stock LiteRT runtime.

| name | what it holds | what it needs |
| --- | --- | --- |
| `keras_bnn.layers`, `.quantizers`, `.constraints` | what a model is built of | Keras |
| `keras_bnn.optimizers`, `.metrics`, `.callbacks`, `.binary_weights` | what it is trained and watched with | Keras |
| `keras_bnn.convert`, `keras_bnn.converter` | from a model to a packed .tflite | TensorFlow, for Keras models |
| `keras_bnn.runtime` | runs packed .tflite files | numpy and LiteRT (or tflite-runtime, or TensorFlow) |

`import keras_bnn` is cheap: a name is imported when it is first used, and with it what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bnn import (
        applications,
        callbacks,
        constraints,
        converter,
        initializers,
        layers,
        metrics,
        optimizers,
        quantizers,
        runtime,
    )
    from keras_bnn.binarization import binarize
    from keras_bnn.converter import convert
    from keras_bnn.larq_weights import load_larq_weights
    from keras_bnn.model_summary import summary
    from keras_bnn.weights.binary_weights import binary_weights, set_binary_weights
    from keras_bnn.weights.quantized_scope import quantized_scope

    __version__: str

__all__ = [
    "__version__",
    "applications",
    "binarize",
    "binary_weights",
    "callbacks",
    "constraints",
    "convert",
    "converter",
    "initializers",
    "layers",
    "load_larq_weights",
    "metrics",
    "optimizers",
    "quantized_scope",
    "quantizers",
    "runtime",
    "set_binary_weights",
    "summary",
]

_SUBPACKAGES = frozenset(
    {
        "applications",
        "callbacks",
        "constraints",
        "converter",
        "initializers",
        "layers",
        "metrics",
        "optimizers",
        "quantizers",
        "runtime",
    }
)
_FUNCTIONS = {
    "binarize": "keras_bnn.binarization",
    "binary_weights": "keras_bnn.weights",
    "convert": "keras_bnn.converter",
    "load_larq_weights": "keras_bnn.larq_weights",
    "quantized_scope": "keras_bnn.weights",
    "set_binary_weights": "keras_bnn.weights",
    "summary": "keras_bnn.model_summary",
}
_TRAIN_EXTRA = frozenset({"keras", "tensorflow"})


def __getattr__(name: str) -> Any:
    """Imports the name that is asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("keras-bnn")
    try:
        if name in _SUBPACKAGES:
            return importlib.import_module(f"keras_bnn.{name}")
        if name in _FUNCTIONS:
            return getattr(importlib.import_module(_FUNCTIONS[name]), name)
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
