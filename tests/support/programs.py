"""Runs programs, and reads what the C++ examples print."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np


def run(*command: object, stderr: int = subprocess.STDOUT, **options: Any) -> str:
    """Runs a command, and returns what it prints; fails with that where the command fails."""
    texts = [str(part) for part in command]
    done = subprocess.run(texts, stdout=subprocess.PIPE, stderr=stderr, text=True, **options)
    assert done.returncode == 0, f"{' '.join(texts)}\n{done.stdout}"
    return done.stdout


def printed_floats(text: str) -> np.ndarray:
    """The float32 values of an example's output, a row for each of its lines."""
    return np.array([line.split() for line in text.splitlines()], np.float32)
