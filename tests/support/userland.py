"""A folder inside an ARM userland, and programs that run there under QEMU."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras_bnn

_TESTS = Path(__file__).resolve().parents[1]
_PACKAGE = Path(keras_bnn.__file__).parent


class Userland:
    """What a Raspberry Pi would hold: the runtime part of the package with its library, and the tests."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.folder = folder

    def inside(self, path: Path) -> str:
        """The path as programs in the userland see it."""
        return f"/{path.relative_to(self._root)}"

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the userland; stderr goes into stdout."""
        folder = self.inside(self.folder)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"{folder}/site:{folder}/project/tests:/opt/site-packages",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": f"{folder}/hypothesis",
        }
        command = ["chroot", str(self._root), "/usr/bin/python3", *arguments]
        return subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )

    def evaluate(self, folder: Path, isa: str) -> None:
        """Run every .tflite file of a folder in the userland on its inputs, as tests/arm/evaluate.py describes."""
        script = self.inside(self.folder / "evaluate.py")
        done = self.python(script, self.inside(folder), isa)
        assert done.returncode == 0, done.stdout


@contextmanager
def open_userland(root: Path, library: Path) -> Iterator[Userland]:
    """Lay the package, `library` and the tests into a new folder of the userland, and take it away afterwards."""
    with tempfile.TemporaryDirectory(dir=root / "tmp") as name:
        folder = Path(name)
        package = folder / "site" / "keras_bnn"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_PACKAGE / "runtime", package / "runtime", ignore=ignored)
        for module in _PACKAGE.glob("*.py"):
            shutil.copy(module, package)
        (package / "lib").mkdir()
        shutil.copy(library, package / "lib")
        project = folder / "project"
        for part in ("ops", "support"):
            shutil.copytree(_TESTS / part, project / "tests" / part, ignore=ignored)
        for file in ("conftest.py", "format_reference.py"):
            shutil.copy(_TESTS / file, project / "tests")
        shutil.copy(_TESTS.parent / "pyproject.toml", project)
        shutil.copy(_TESTS / "arm" / "evaluate.py", folder)
        yield Userland(root, folder)
