"""The environments that Larq Zoo and Larq Compute Engine need: another Python with an old TensorFlow."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PYTHONS = ("python3.11", "python3.10")
BUILD = Path(__file__).resolve().parents[2] / "build"


@dataclass(frozen=True)
class Environment:
    """An environment of its own with a peer's packages.

    Attributes:
        name: Its folder in build/.
        variable: The environment variable that may name a Python to use instead.
        module: What the Python has to import.
        packages: What to install.
    """

    name: str
    variable: str
    module: str
    packages: tuple[str, ...]

    def python(self) -> str:
        """Returns a Python that imports the module: the named one, or our own, which is made when it is missing."""
        named = os.environ.get(self.variable)
        if named:
            problem = self._problem(named)
            if problem:
                pytest.fail(f"{self.variable}={named} cannot import {self.module}: {problem}")
            return named
        folder = BUILD / self.name
        own = str(folder / "bin" / "python")
        if not self._problem(own):
            return own
        base = next(filter(None, map(shutil.which, PYTHONS)), None)
        if base is None:
            pytest.skip(
                f"{self.module} needs {' or '.join(PYTHONS)}, which are not on the PATH: name one of its own in "
                f"{self.variable}"
            )
        install = [own, "-m", "pip", "install", "--quiet", *self.packages]
        for command in ([base, "-m", "venv", "--clear", folder], install):
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode:
                pytest.skip(f"{' '.join(map(str, command))} failed: {run.stderr.strip()[-300:]}")
        problem = self._problem(own)
        if problem:
            pytest.fail(f"{own} has the packages, but cannot import {self.module}: {problem}")
        return own

    def _problem(self, python: str) -> str:
        """Why this Python cannot import the module, or ""."""
        command = [python, "-c", f"import {self.module}"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return str(error)
        return run.stderr.strip()[-300:] if run.returncode else ""


# The zoo's last release wants protobuf below 3.21, which TensorFlow 2.15 is the last to allow.
ZOO_PACKAGES = ("tensorflow-cpu==2.15.1", "larq==0.14.0", "larq-zoo==2.4.0")
LARQ = Environment("larq", "KERAS_BNN_LARQ_PYTHON", "larq_zoo", ZOO_PACKAGES)
LCE = Environment(
    "lce", "KERAS_BNN_LCE_PYTHON", "larq_zoo, larq_compute_engine", (*ZOO_PACKAGES, "larq-compute-engine==0.16.0")
)


@pytest.fixture(scope="session")
def larq_python() -> str:
    """A Python that imports larq_zoo: KERAS_BNN_LARQ_PYTHON, or our own in build/larq."""
    return LARQ.python()


@pytest.fixture(scope="session")
def lce_python() -> str:
    """A Python that imports larq_compute_engine too: KERAS_BNN_LCE_PYTHON, or our own in build/lce."""
    return LCE.python()
