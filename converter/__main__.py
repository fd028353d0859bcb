"""The second Python of `tracing`: reads a .keras file and writes its float .tflite file.

Run as `KERAS_BACKEND=tensorflow python -m keras_bnn.converter IN.keras OUT.tflite`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .tracing import trace_keras_file


def main() -> int:
    """Returns the exit code; the last line on standard error says what failed."""
    source, output = sys.argv[1:]
    try:
        Path(output).write_bytes(trace_keras_file(Path(source)))
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
