"""What libkeras_bnn.so asks of a system: the C and C++ libraries alone, and a glibc that old systems have."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from keras_bnn.runtime import delegate_path

# libgcc_s unwinds exceptions: it comes with libstdc++, which needs it too.
_ALLOWED = re.compile(r"lib(c|m|stdc\+\+|gcc_s)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+")
_NEWEST_GLIBC = (2, 28)
_NEWEST_GLIBCXX = (3, 4, 24)  # GCC 7; what a wheel for glibc 2.28 may ask for


@pytest.fixture(scope="module")
def headers() -> str:
    """The dynamic section and the symbol versions of the library, as objdump prints them."""
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed (package binutils)")
    return subprocess.run(["objdump", "-p", delegate_path()], capture_output=True, text=True, check=True).stdout


def test_needs_only_the_c_and_cpp_libraries(headers: str) -> None:
    needed = re.findall(r"NEEDED\s+(\S+)", headers)
    assert "libstdc++.so.6" in needed
    assert [name for name in needed if not _ALLOWED.fullmatch(name)] == []


@pytest.mark.parametrize(("library", "newest"), [("GLIBC", _NEWEST_GLIBC), ("GLIBCXX", _NEWEST_GLIBCXX)])
def test_needs_no_new_library(headers: str, library: str, newest: tuple[int, ...]) -> None:
    versions = {tuple(map(int, version.split("."))) for version in re.findall(rf"\b{library}_([\d.]+)", headers)}
    assert versions
    assert max(versions) <= newest
