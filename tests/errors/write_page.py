"""Writes docs/errors.md anew: python tests/errors/write_page.py"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_TESTS = Path(__file__).resolve().parents[1]
sys.path[:] = [str(_TESTS), *(entry for entry in sys.path if Path(entry or ".").resolve() != _TESTS.parent)]


def main() -> None:
    """Does every wrong use, and writes what it says."""
    from support.errors_page import PAGE, page
    from support.wrong_uses import WRONG_USES, message_of, prepared_folder

    with tempfile.TemporaryDirectory() as folder, prepared_folder(Path(folder)) as names:
        messages = [(use, message_of(use, names)) for use in WRONG_USES]
    PAGE.write_text(page(messages))


if __name__ == "__main__":
    main()
