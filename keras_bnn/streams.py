"""Inputs that can be read once, such as pipes."""

from __future__ import annotations

import os
from pathlib import Path


def path_or_content(path: str | os.PathLike[str]) -> str | os.PathLike[str] | bytes:
    """Returns the path of a file or folder, or of one that is not there, and of a pipe or device what it holds.

    Raises:
        OSError: when a pipe or device cannot be read.
    """
    is_stream = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return Path(path).read_bytes() if is_stream else path
