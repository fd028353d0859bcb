"""The first damaged files of the fuzzer: each does what it did, or gives one sentence."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from support.fork_server import Limits, run_cases
from support.mutations import DamageableFile
from support.seed_files import seed_files

_FUZZER = Path(__file__).with_name("fuzz_files.py")


def test_damaged_files(tmp_path: Path) -> None:
    command = [sys.executable, str(_FUZZER), "--cases", "150"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    counts = {
        (path, outcome): int(n) for path, outcome, n in re.findall(r"^  (\w+) +(\w+).* (\d+)$", result.stdout, re.M)
    }
    for path in ("delegate", "run", "inspect", "convert"):
        assert counts[path, "ran"] > 20
        assert counts[path, "refused"] > 20


def _fail(case: str) -> str:
    if case == "crash":
        ctypes.string_at(0)
    elif case == "hang":
        while True:
            pass
    elif case == "memory":
        bytearray(2**31)
    elif case == "exit":
        os._exit(3)
    return case


def test_what_becomes_of_a_case_is_told() -> None:
    cases = ["works", "crash", "works", "hang", "memory", "exit", "works"]
    endings = list(run_cases(cases, _fail, Limits(memory=2**30, cpu=1)))
    assert [ending.case for ending in endings] == cases
    assert [ending.result for ending in endings] == ["works", None, "works", None, None, None, "works"]
    deaths = [ending.death.strip().splitlines()[-1] if ending.death else "" for ending in endings]
    assert deaths == ["", "SIGSEGV", "", "hang", "MemoryError", "exit 3", ""]
    assert "_ctypes" in endings[1].frames


def test_a_bug_that_a_command_tells_of_is_a_finding(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fuzz_files\n"
        "def fail(args): raise KeyError('a bug')\n"
        "fuzz_files.run.run = fail\n"
        "sys.argv[1:] = ['--cases', '1', '--path', 'run']\n"
        "sys.exit(fuzz_files._main())"
    )
    command = [sys.executable, "-c", program, str(_FUZZER.parent)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "FOUND number 0, path run: " in result.stdout


@pytest.mark.parametrize("number", range(0, 40, 3))
def test_damage_is_repeatable(number: int) -> None:
    one, other = seed_files()[:2]
    damaged = [DamageableFile(one.content).damaged(Random(number), other.content) for _ in range(2)]
    assert damaged[0] == damaged[1]
