"""The benchmark of ARM kernels: the loops it finds, what it compares, and what it says where a program is missing."""

from __future__ import annotations

import copy
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
# An outer loop, whose innermost one jumps over its own middle; a loop that counts less; one that counts nothing.
DISASSEMBLY = """
0000000000000000 <void keras_bnn::(anonymous namespace)::Count<8>(unsigned int const*, int)>:
   0:\tmov\tw9, #0x8                   \t// #8
   4:\tldr\tq0, [x0], #16
   8:\tcbz\tw1, 14 <Count+0x14>
   c:\tcnt\tv1.16b, v0.16b
  10:\tcnt\tv2.8b, v0.8b
  14:\tsubs\tw1, w1, #0x1
  18:\tb.ne\t4 <Count+0x4>  // b.any
  1c:\tcbnz\tw2, 0 <Count+0x0>
  20:\tcnt\tv1.8b, v0.8b
  24:\ttbnz\tw2, #3, 20 <Count+0x20>
  28:\tb\t100 <keras_bnn::Elsewhere()>
  2c:\tret

0000000000000040 <keras_bnn::Copy()>:
  40:\tldr\tw3, [x0], #4
  44:\tb\t40 <keras_bnn::Copy()>

0000000000000050 <keras_bnn::Again(int)>:
  50:\tldr\tq7, [x3], #16
  54:\tcbz\tw4, 60 <Again+0x10>
  58:\tcnt\tv5.16b, v7.16b
  5c:\tcnt\tv6.8b, v7.8b
  60:\tsubs\tw4, w4, #0x1
  64:\tb.ne\t50 <keras_bnn::Again(int)>  // b.any
"""
RESULT = {
    "target": "aarch64",
    "compiler": "g++ 12",
    "cases": {"dense": {"instructions": 1100}, "conv": {"instructions": 90}},
}
STORED = {
    "target": "aarch64",
    "compiler": "g++ 12",
    "cases": {"dense": {"instructions": 1000}, "conv": {"instructions": 100}},
}


@pytest.fixture
def cycle_models(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import _cycle_models

    return _cycle_models


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import arm

    return arm


def test_loops_that_count(cycle_models: Any) -> None:
    (loop,) = cycle_models.counting_loops(DISASSEMBLY)
    assert (loop.function, loop.products) == ("Count<8>", 128 + 64)
    assert loop.assembly() == (
        "loop:\nldr q0, [x0], #16\ncbz w1, loop\ncnt v1.16b, v0.16b\ncnt v2.8b, v0.8b\nsubs w1, w1, #0x1\nb.ne loop\n"
    )


@pytest.mark.parametrize(
    ("branch", "count", "products"),
    [
        ("bne.n", "vcnt.8\tq4, q5", 128),
        ("bgt.w", "vcnt.8\td4, d5", 64),
        ("b.any", "cnt\tz1.s, p0/m, z1.s", 128),
    ],
)
def test_loops_of_other_sets(branch: str, count: str, products: int, cycle_models: Any) -> None:
    text = f"00000000 <Count(int)>:\n   0:\t{count}\n   4:\tsubs\tr1, #1\t@ 0x1\n   8:\t{branch}\t0 <Count(int)>\n"
    (loop,) = cycle_models.counting_loops(text)
    assert (loop.products, len(loop.body)) == (products, 3)
    assert loop.assembly().endswith(f"subs r1, #1\n{branch} loop\n")


def test_models(cycle_models: Any) -> None:
    mca = cycle_models.find_mca()
    if mca is None:
        pytest.skip("llvm-mca is not installed")
    (model,) = cycle_models.models(DISASSEMBLY, mca, "aarch64-linux-gnu", ("cortex-a53", "cortex-a72"))
    assert (model["function"], model["instructions"]) == ("Count<8>", 6 * 128 / 192)
    assert all(1 < cycles < 10 for cycles in model["cycles"].values())


def test_a_gain_and_a_loss_within_the_band_are_none(arm: Any) -> None:
    assert arm.compare(RESULT, STORED, Path("counts.json"), "") == []


def test_a_loss(arm: Any) -> None:
    result = copy.deepcopy(RESULT)
    result["cases"]["dense"]["instructions"] = 1101
    (loss,) = arm.compare(result, STORED, Path("counts.json"), "")
    assert loss.startswith("dense takes 1,101 instructions, 10.1 % more than the 1,000 of counts.json: ")
    assert arm.compare(result, STORED, Path("counts.json"), "conv") == []


def test_a_gain_that_the_file_lacks(arm: Any) -> None:
    result = copy.deepcopy(RESULT)
    result["cases"]["conv"]["instructions"] = 89
    (gain,) = arm.compare(result, STORED, Path("counts.json"), "")
    assert gain.startswith("conv takes 89 instructions, 11.0 % fewer than the 100 of counts.json: write the file anew")


def test_a_case_that_is_new(arm: Any) -> None:
    (new,) = arm.compare(RESULT, {**STORED, "cases": {"dense": {"instructions": 1000}}}, Path("counts.json"), "")
    assert new == "conv is a case, but not in counts.json: write the file anew."


def test_a_case_that_is_gone(arm: Any) -> None:
    (loss,) = arm.compare({**RESULT, "cases": {}}, STORED, Path("counts.json"), "conv")
    assert loss == "conv is in counts.json, but no case any more: write the file anew."


def test_another_compiler_or_target(arm: Any) -> None:
    (loss,) = arm.compare({**RESULT, "compiler": "g++ 13"}, STORED, Path("counts.json"), "")
    assert loss.startswith("counts.json has counts of g++ 12, not of g++ 13: ")
    (loss,) = arm.compare({**RESULT, "target": "sve2"}, STORED, Path("counts.json"), "")
    assert loss.startswith("counts.json has counts of aarch64, not of sve2: ")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "arm.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_missing_program(tmp_path: Path) -> None:
    result = run("--qemu", tmp_path / "qemu")
    assert result.returncode == 2
    assert "apt-get install " in result.stderr
    assert "qemu-user`." in result.stderr


def test_a_qemu_without_plugins(tmp_path: Path) -> None:
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("aarch64-linux-gnu-g++ is not installed")
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\necho usage: qemu [options] program\n")
    qemu.chmod(0o755)
    result = run("--qemu", qemu)
    assert result.returncode == 2
    assert f"needs a QEMU with plugins, which {qemu} has not" in result.stderr


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that returns a folder to build a target in, on a machine that can count; one for each compiler."""

    @functools.cache
    def make(triple: str) -> Path:
        return tmp_path_factory.mktemp(triple)

    @functools.cache
    def folder(target: str) -> Path:
        path = make("aarch64" if target == "sve2" else target)
        result = run("--target", target, "--build", path, "--counts-only", "--only", "max-pool")
        if "apt-get install" in result.stderr:
            pytest.skip(result.stderr.splitlines()[-1])
        assert result.returncode == 0, result.stderr
        return path

    return folder


@pytest.mark.arm
@pytest.mark.parametrize("stored", sorted(BENCHMARKS.glob("arm/counts_*.json")), ids=lambda path: path.stem)
def test_counts_are_the_stored_ones(stored: Path, build: Callable[[str], Path]) -> None:
    target = stored.stem.removeprefix("counts_")
    result = run("--target", target, "--build", build(target), "--counts-only", "--compare", stored)
    if "has counts of" in result.stdout:
        pytest.skip(result.stdout.splitlines()[-1])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.arm
def test_script(build: Callable[[str], Path], tmp_path: Path) -> None:
    """Counts twice alike, and sees a loss."""
    figures = tmp_path / "arm.json"
    options = ("--build", build("aarch64"), "--only", "dense 1024, to")
    first = run(*options, "--json", figures)
    assert first.returncode == 0, first.stderr
    result = json.loads(figures.read_text())
    assert list(result["cases"]) == ["dense 1024, to float", "dense 1024, to bits"]
    for case in result["cases"].values():
        assert case["work"] == 1024 * 1024
        assert case["work"] / 128 < case["instructions"] < case["work"]
        assert case["loads_stores"] + case["vector"] < case["instructions"]

    again = tmp_path / "again.json"
    assert run(*options, "--counts-only", "--json", again, "--compare", figures).returncode == 0
    assert json.loads(again.read_text())["cases"] == result["cases"]

    result["cases"]["dense 1024, to bits"]["instructions"] //= 2
    figures.write_text(json.dumps(result))
    loss = run(*options, "--counts-only", "--compare", figures)
    assert loss.returncode == 1
    assert "\ndense 1024, to bits takes " in loss.stdout
    assert "dense 1024, to float takes" not in loss.stdout
