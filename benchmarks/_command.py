"""What the benchmarks of the runtime share: their arguments, and what a figure has to be reported with."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_bnn.cli.arguments import positive_int, positive_seconds
from keras_bnn.runtime import cpu_info, stock_runtime


def make_parser(description: str) -> argparse.ArgumentParser:
    """The arguments that each of them takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=positive_int, default=1, metavar="N", help="threads of a run (default: 1)")
    parser.add_argument(
        "--isa", choices=cpu_info()["supported_kernel_sets"], help="kernel set to use (default: the best one)"
    )
    parser.add_argument("--seconds", type=positive_seconds, default=1.0, help="time for each file (default: 1)")
    parser.add_argument("--only", default="", metavar="TEXT", help="measure those whose name holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write the figures to")
    return parser


def parse(parser: argparse.ArgumentParser, names: Iterable[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and the names that `--only` leaves; ends the program as wrong usage where it leaves none."""
    arguments = parser.parse_args()
    left = [name for name in names if arguments.only in name]
    if not left:
        parser.error(f"--only is {arguments.only!r}, but has to be a part of one of these names: {'; '.join(names)}")
    return arguments, left


def setting(arguments: argparse.Namespace) -> dict[str, Any]:
    """The CPU, the runtime, the kernel set and the threads."""
    return {
        "processor": _processor(),
        "runtime": str(stock_runtime()),
        "kernel_set": arguments.isa or cpu_info()["chosen_kernel_set"],
        "threads": arguments.threads,
    }


def _processor() -> str:
    """The CPU's name, where the system tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
