"""The stock runtimes that packed files are run on, each in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_RUN_FILE = Path(__file__).resolve().parents[1] / "compat" / "run_file.py"


@dataclass(frozen=True)
class Runtime:
    """A distribution of a runtime, and the Python and numpy that it needs."""

    distribution: str
    version: str
    python: str = "3.11"
    numpy: str = "numpy"

    @property
    def name(self) -> str:
        """Name and version, as pip writes them."""
        return f"{self.distribution}=={self.version}"


RUNTIMES = (
    Runtime("tflite-runtime", "2.7.0", "3.9", "numpy<2"),
    Runtime("tflite-runtime", "2.10.0", "3.9", "numpy<2"),
    Runtime("tflite-runtime", "2.12.0", "3.9", "numpy<2"),
    Runtime("tflite-runtime", "2.13.0", "3.10", "numpy<2"),
    Runtime("tflite-runtime", "2.14.0", "3.11", "numpy<2"),
    Runtime("ai-edge-litert", "1.0.1", "3.11", "numpy<2"),
    Runtime("ai-edge-litert", "1.4.0"),
    Runtime("ai-edge-litert", "2.0.3"),
    Runtime("ai-edge-litert", "2.1.6"),
    Runtime("ai-edge-litert", "2.3.0"),
    Runtime("tensorflow", "2.16.2"),
    Runtime("tensorflow", "2.21.0"),
)


class MissingPythonError(Exception):
    """A runtime needs a Python of a version that this machine lacks."""


def cache_folder() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keras-bnn" / "compat"


def find_python(version: str) -> str:
    """A Python of a version: on the PATH, or one that pyenv has installed.

    Raises:
        MissingPythonError: when there is none.
    """
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for path in [found, *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        if path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return str(path)
    raise MissingPythonError(f"there is no python{version} on this machine")


def environment(runtime: Runtime) -> Path:
    """The Python of an environment with the runtime, made where it is missing and kept in the user's cache folder.

    Raises:
        MissingPythonError: when this machine cannot make it.
    """
    folder = cache_folder() / f"{runtime.distribution}-{runtime.version}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([find_python(runtime.python), "-m", "venv", folder], check=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, runtime.name, runtime.numpy], check=True)
        complete.touch()
    return folder / "bin" / "python"


def run_file(runtime: Runtime, library: str, model: Path, runs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a file for each array of `runs`, on a runtime."""
    with tempfile.TemporaryDirectory() as name:
        inputs, outputs = Path(name) / "inputs.npz", Path(name) / "outputs.npz"
        np.savez(inputs, **runs)
        command = [environment(runtime), _RUN_FILE, library, model, inputs, outputs]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        with np.load(outputs) as results:
            return {key: results[key] for key in results.files}
