"""The library runs every kernel set that this CPU has the instructions for, and takes the best one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import kernel_sets

from keras_bnn import runtime


def test_every_kernel_set_of_this_cpu_is_there() -> None:
    expected = {isa for isa in kernel_sets.ALL if kernel_sets.why_unsupported(isa) is None}
    assert set(runtime.cpu_info()["supported_kernel_sets"]) == expected


def test_the_environment_chooses(isa: str, tmp_path: Path) -> None:
    code = "from keras_bnn import runtime; print(runtime.cpu_info()['chosen_kernel_set'])"
    environment = {**os.environ, "KERAS_BNN_ISA": isa}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == isa
