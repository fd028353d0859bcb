"""Says which extra brings Keras where it is missing: the first import of every package that needs it."""

from __future__ import annotations

try:
    import keras  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("keras", "tensorflow"):
        raise
    message = f"keras_bnn needs {error.name}, which is not installed: pip install 'keras-bnn[train]'"
    raise ModuleNotFoundError(message, name=error.name) from error
