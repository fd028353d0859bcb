"""What SECURITY.md promises of the library: what it calls of the system, and how it is built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import c_functions

from keras_bnn.runtime import delegate_path

SOURCES = Path(__file__).resolve().parents[2] / "cc_ops"

# Of the compiler and of the C++ library, which the symbols' versions name.
_CPP = re.compile(r"@(GLIBCXX|CXXABI|GCC)_[\d.]+$")
# Those parts of the C++ library that open files, read randomness or look for locales.
_CPP_TO_SYSTEM = re.compile(r"filebuf|fstream|filesystem|random_device|ios_base|locale")
_WEAK = {"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__"}


def _printed(*command: str) -> str:
    if sys.platform != "linux":
        pytest.skip("the library is no ELF file here")
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed (package binutils)")
    return subprocess.run([*command, delegate_path()], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def called() -> list[str]:
    """The functions that the library asks others for, with their versions."""
    return [line.split()[-1] for line in _printed("nm", "--dynamic", "--undefined-only").splitlines()]


def test_calls_of_the_c_library_are_the_reviewed_ones(called: list[str]) -> None:
    plain = {name.partition("@")[0] for name in called if not _CPP.search(name)} - _WEAK
    assert "getenv" in plain
    assert plain - c_functions.ALLOWED - c_functions.GLIBC == set()


def test_no_part_of_the_cpp_library_that_opens_files(called: list[str]) -> None:
    names = [name for name in called if _CPP.search(name)]
    assert any("steady_clock" in name for name in names)
    assert [name for name in names if _CPP_TO_SYSTEM.search(name)] == []


def test_reads_one_environment_variable() -> None:
    code = {
        path: path.read_text()
        for path in SOURCES.rglob("*")
        if path.suffix in {".cc", ".h"} and path.relative_to(SOURCES).parts[0] not in {"bench", "tests"}
    }
    arguments = [name for text in code.values() for name in re.findall(r"\bgetenv\(([^)]*)\)", text)]
    assert arguments
    assert {name.rpartition("::")[2] for name in arguments} == {"kIsaVariable"}
    assert re.findall(r'kIsaVariable\[?\]? = "(\w+)"', "".join(code.values())) == ["KERAS_BNN_ISA"]
    assert not [path for path, text in code.items() if re.search(r"\benviron\b|/proc/|/sys/|/dev/", text)]


def test_stack_overwritten_ends_the_process(called: list[str]) -> None:
    assert any(name.startswith("__stack_chk_fail@") for name in called)


def test_calls_of_the_c_library_are_checked(called: list[str]) -> None:
    assert any(name.startswith("__vsnprintf_chk@") for name in called)


def test_no_memory_is_both_written_and_executed() -> None:
    headers = _printed("readelf", "--wide", "--segments")
    segments = re.findall(r"^ +(LOAD|GNU_STACK|GNU_RELRO) .*0x\w+ +0x\w+ ([R ][W ][E ]) ", headers, re.MULTILINE)
    flags = {name: {flag for kind, flag in segments if kind == name} for name, _ in segments}
    assert set(flags) == {"LOAD", "GNU_STACK", "GNU_RELRO"}
    assert "R E" in flags["LOAD"]
    assert not [flag for flag in flags["LOAD"] if "W" in flag and "E" in flag]
    assert flags["GNU_STACK"] == {"RW "}


def test_addresses_of_functions_are_fixed_at_load_time() -> None:
    dynamic = _printed("readelf", "--wide", "--dynamic")
    assert re.search(r"\(FLAGS\).*\bBIND_NOW\b", dynamic)
    assert re.search(r"\(FLAGS_1\).*\bNOW\b", dynamic)
    assert "TEXTREL" not in dynamic
