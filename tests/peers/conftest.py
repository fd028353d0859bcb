"""The environment that Larq Zoo needs: another Python with an old TensorFlow."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# The zoo's last release wants protobuf below 3.21, which TensorFlow 2.15 is the last to allow.
PACKAGES = ("tensorflow-cpu==2.15.1", "larq==0.14.0", "larq-zoo==2.4.0")
PYTHONS = ("python3.11", "python3.10")
FOLDER = Path(__file__).resolve().parents[2] / "build" / "larq"


@pytest.fixture(scope="session")
def larq_python() -> str:
    """A Python that imports larq_zoo: KERAS_BNN_LARQ_PYTHON, or our own in build/larq, made when it is missing."""
    named = os.environ.get("KERAS_BNN_LARQ_PYTHON")
    if named:
        problem = _problem(named)
        if problem:
            pytest.fail(f"KERAS_BNN_LARQ_PYTHON={named} cannot import larq_zoo: {problem}")
        return named
    own = str(FOLDER / "bin" / "python")
    if not _problem(own):
        return own
    base = next(filter(None, map(shutil.which, PYTHONS)), None)
    if base is None:
        pytest.skip(
            f"Larq Zoo needs {' or '.join(PYTHONS)}, which are not on the PATH: name one of its own in "
            "KERAS_BNN_LARQ_PYTHON"
        )
    commands = ([base, "-m", "venv", "--clear", FOLDER], [own, "-m", "pip", "install", "--quiet", *PACKAGES])
    for command in commands:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            pytest.skip(f"{' '.join(map(str, command))} failed: {run.stderr.strip()[-300:]}")
    problem = _problem(own)
    if problem:
        pytest.fail(f"{own} has the packages, but cannot import larq_zoo: {problem}")
    return own


def _problem(python: str) -> str:
    """Why this Python cannot import larq_zoo, or ""."""
    try:
        run = subprocess.run([python, "-c", "import larq_zoo"], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return run.stderr.strip()[-300:] if run.returncode else ""
