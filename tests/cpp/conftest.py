"""The library built and installed as a C++ user does it, and the examples built on it outside the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.programs import run

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix with the library, which was installed into another one and moved."""
    for tool in ("cmake", "ninja", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("cpp")
    # Not optimized: that compiles in half the time, and gives the same bits.
    flags = ("-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0")
    where = ("-DCMAKE_INSTALL_LIBDIR=lib", f"-DCMAKE_INSTALL_PREFIX={folder / 'installed'}")
    run("cmake", "-S", PROJECT / "cc_ops", "-B", folder / "build", "-G", "Ninja", *flags, *where)
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build")
    return (folder / "installed").rename(folder / "moved")


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, copied out of the checkout."""
    return Path(shutil.copytree(PROJECT / "examples" / "cpp", tmp_path_factory.mktemp("examples") / "cpp"))


@pytest.fixture(scope="session")
def programs(prefix: Path, sources: Path) -> Path:
    """The folder of the examples, built with find_package."""
    build = sources.parent / "build"
    run("cmake", "-S", sources, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    return build


@pytest.fixture
def environment() -> dict[str, str]:
    """Environment variables under which nothing but the best kernels is chosen."""
    return {key: value for key, value in os.environ.items() if key != "KERAS_BNN_ISA"}
