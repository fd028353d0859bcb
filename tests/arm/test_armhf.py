"""32-bit ARM under QEMU: the C++ tests, on the kernel sets neon and scalar."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.arm


def test_cpp_tests(armhf_build: Path) -> None:
    """All of them in two processes, for one process per test takes longer than the tests."""
    program = ["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf", armhf_build / "tests" / "keras_bnn_tests"]
    shards = [
        subprocess.Popen(
            program,
            env={**os.environ, "GTEST_BRIEF": "1", "GTEST_TOTAL_SHARDS": "2", "GTEST_SHARD_INDEX": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(2)
    ]
    outputs = [shard.communicate()[0] for shard in shards]
    for shard, output in zip(shards, outputs, strict=True):
        assert shard.returncode == 0, output
        assert "kernel set neon: tested" in output, output
