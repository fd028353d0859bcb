"""The figures of a benchmark as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keras_bnn.whole_file import write_whole


def write_json(path: Path, figures: Any) -> None:
    """Writes the figures, whole or not at all."""
    write_whole(path, (json.dumps(figures, indent=2) + "\n").encode())
