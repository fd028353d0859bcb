"""The metadata entry "min_runtime_version" of a packed file."""

from __future__ import annotations

import numpy as np

from .graph import Model

NAME = "min_runtime_version"
OLDEST_RUNTIME = (2, 14, 0)
"""The first TFLite runtime that the delegate is tested on."""

_FIELD_BYTES = 16  # what the stock converter reserves


def raise_min_runtime_version(model: Model) -> None:
    """Raises the version that packed ops need, where the file names an older one.

    The stock converter writes the first TFLite runtime that has all ops of the file; it knows nothing of packed ops,
    which run on the delegate. A file without the entry gets none, and what is no version number stays.
    """
    for place, (name, data) in enumerate(model.metadata):
        version = _numbers(b"" if data is None else data.tobytes())
        if name == NAME and version is not None and version < OLDEST_RUNTIME:
            field = ".".join(map(str, OLDEST_RUNTIME)).encode().ljust(_FIELD_BYTES, b"\0")
            model.metadata[place] = (name, np.frombuffer(field, np.uint8))


def _numbers(text: bytes) -> tuple[int, ...] | None:
    try:
        return tuple(int(number) for number in text.rstrip(b"\0").split(b"."))
    except ValueError:
        return None
