"""What all tests share: they run against the installed package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# `python -m pytest` puts the current folder on the path, where keras_bnn/ lacks the library and the converter that the
# installation adds to it.
_ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that it does not end up alone on one of several workers."""
    items.sort(key=lambda item: item.path.name != "test_backends.py")
