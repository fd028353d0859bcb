"""Runs the C++ tests of a cross build, under an emulator."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PROCESSES = 2


def run_cpp_tests(emulator: Sequence[str], build: Path, kernel_sets: Sequence[str]) -> None:
    """Runs all of them: those of GoogleTest in two processes, for one process per test takes longer than the tests.

    Args:
        emulator: The command that runs a program.
        build: The CMake build folder.
        kernel_sets: Those that must be tested.
    """
    shards = [
        subprocess.Popen(
            [*emulator, build / "tests" / "keras_bnn_tests"],
            env={
                **os.environ,
                "GTEST_BRIEF": "1",
                "GTEST_TOTAL_SHARDS": str(_PROCESSES),
                "GTEST_SHARD_INDEX": str(index),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(_PROCESSES)
    ]
    outputs = [shard.communicate()[0] for shard in shards]
    for shard, output in zip(shards, outputs, strict=True):
        assert shard.returncode == 0, output
        for name in kernel_sets:
            assert f"kernel set {name}: tested" in output, output
    subprocess.run(
        ["ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error", "-R", "^exports$"], check=True
    )
