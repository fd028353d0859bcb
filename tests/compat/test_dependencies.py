"""The core of the suite on the oldest and the newest versions of what pyproject.toml asks for, on each Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.runtimes import MissingPythonError, cache_folder, find_python

pytestmark = pytest.mark.compat

_PROJECT = Path(__file__).resolve().parents[2]
_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
_RUNTIME = ("runtime/test_delegate.py", "runtime/test_interpreter.py", "runtime/test_lce_ops.py", "ops/test_values.py")
_TRAINING = (
    "runtime/test_interpreter.py",
    "converter/test_convert.py",
    "keras_bnn/test_layers.py",
    "keras_bnn/test_quantizers_values.py",
    "keras_bnn/test_optimizer_steps.py",
)

# Extras, uv's way to choose versions, the tests. ai-edge-quantizer asks for the newest runtime.
_CASES = {
    "oldest": ((), "lowest-direct", _RUNTIME),
    "oldest-train": (("train",), "lowest-direct", _TRAINING),
    "newest": (("train", "int8"), "highest", (*_TRAINING, "converter/test_int8.py")),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, _PROJECT]
    subprocess.run([*command, "--config-settings", f"build-dir={folder}/build"], check=True)
    return next(folder.glob("keras_bnn-*.whl"))


def _python(version: str, case: str, wheel: Path) -> Path:
    """The Python of an environment, made anew; what it needs comes from uv's cache where it was needed before."""
    extras, resolution, _ = _CASES[case]
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed: pip install uv")
    try:
        interpreter = find_python(version)
    except MissingPythonError as missing:
        pytest.skip(str(missing))
    folder = cache_folder() / f"python-{version}-{case}"
    python = folder / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}

    def run(*command: str | Path) -> None:
        done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run(uv, "venv", "--quiet", "--clear", "--python", interpreter, folder)
    install = (uv, "pip", "install", "--quiet", "--python", python, "--only-binary", ":all:")
    chosen = [argument for extra in extras for argument in ("--extra", extra)]
    run(*install, "--resolution", resolution, "-r", _PROJECT / "pyproject.toml", *chosen)
    run(*install, "hypothesis", "pytest")
    run(*install, "--no-deps", "--reinstall", wheel)
    return python


@pytest.mark.parametrize("case", _CASES)
@pytest.mark.parametrize("version", _PYTHONS)
def test_core_of_the_suite(version: str, case: str, wheel: Path, tmp_path: Path) -> None:
    python = _python(version, case, wheel)
    tests = [str(_PROJECT / "tests" / name) for name in _CASES[case][2]]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=tmp_path, capture_output=True, text=True
    )
    shutil.rmtree(python.parents[1])  # up to 2 GB
    assert done.returncode == 0, done.stdout
    print(done.stdout.splitlines()[-1])
