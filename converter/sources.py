"""From whatever the user has to the float .tflite file: the reference, and what the passes rewrite."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from keras_bnn.streams import path_or_content

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def load_reference(source: Any) -> bytes:
    """Returns the float .tflite file of a source.

    Args:
        source: A Keras model, the path of a .keras file, of a SavedModel folder or of a .tflite file, or a .tflite
            file's bytes. A pipe is read as a .tflite file.

    Raises:
        FileNotFoundError: when there is no such file.
        ImportError: when TensorFlow is needed and not installed.
        ValueError: when the source is none of these, or the stock converter cannot convert it.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return _load_path(Path(source))
    keras = sys.modules.get("keras")  # whoever holds a Keras model has imported it
    if keras is not None and isinstance(source, keras.Model):
        from .tracing import trace_keras_model

        return trace_keras_model(source)
    raise ValueError(
        f"source is of the type {type(source).__name__}: pass a Keras model, the path of a .keras file, of a "
        "SavedModel folder or of a .tflite file, or a .tflite file's bytes."
    )


def _load_path(path: Path) -> bytes:
    content = path_or_content(path)
    if isinstance(content, bytes):
        return content
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}: pass the path of a .keras, .tflite or SavedModel.")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ValueError(f"The folder {path} holds no saved_model.pb: pass the folder that model.export() wrote.")
        from .tracing import trace_saved_model

        return trace_saved_model(path)
    if path.suffix in KERAS_SUFFIXES:
        from .tracing import trace_keras_file

        return trace_keras_file(path)
    if path.suffix == ".tflite":
        return path.read_bytes()
    raise ValueError(
        f"{path} has the suffix {path.suffix!r}: pass a .keras file, a .tflite file or a SavedModel folder."
    )
