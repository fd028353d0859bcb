"""Runs packed files on all stock runtimes and writes the table of README.md, between its two comments.

PYTHONPATH=tests python tests/compat/write_table.py README.md
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.runtimes import RUNTIMES

_TESTS = Path(__file__).with_name("test_runtimes.py")
_BEGIN, _END = "<!-- runtimes: begin -->\n", "<!-- runtimes: end -->\n"


def _table() -> str:
    """Runs the tests on every runtime, and tells how each ended."""
    lines = ["| runtime | Python | packed MNIST and residual network |", "| --- | --- | --- |"]
    for runtime in RUNTIMES:
        tests = [f"{_TESTS}::{name}[{runtime.name}]" for name in ("test_mnist", "test_residual_network")]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "compat", *tests], stdout=subprocess.PIPE, text=True
        )
        print(done.stdout, flush=True)
        passed = done.returncode == 0 and "skipped" not in done.stdout.splitlines()[-1]
        result = "the expected bits" if passed else "not shown"
        lines.append(f"| {runtime.distribution} {runtime.version} | {runtime.python} | {result} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replaces the table of the file that the command names."""
    (path,) = sys.argv[1:]
    before, _, rest = Path(path).read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        sys.exit(f"{path} lacks the lines {_BEGIN.strip()} and {_END.strip()}, between which the table goes.")
    Path(path).write_text(before + _BEGIN + _table() + _END + after)


if __name__ == "__main__":
    main()
