"""Every wrong use says what came, what was expected and what to do, as docs/errors.md shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.errors_page import PAGE, rows
from support.wrong_uses import WRONG_USES, WrongUse, message_of, prepared_folder

_ADVICE = re.compile(
    r"[:;,] (or |so |and |it )?(pass|give|make|call|leave|use|convert|create|export|install|build|write|"
    r"expected|must be|those that run here)\b"
    r"|\(choose from|is not (from|greater than)|are required: |pip install "
)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with prepared_folder(tmp_path_factory.mktemp("errors")) as found:
        yield found


@pytest.mark.parametrize("use", WRONG_USES, ids=lambda use: use.shown)
def test_message(use: WrongUse, names: dict[str, Any]) -> None:
    message = message_of(use, names)
    assert use.came in message
    assert _ADVICE.search(message), message
    assert "\n" not in message
    assert dict(rows(PAGE.read_text()))[use.shown] == message, "python tests/errors/write_page.py writes the page anew"


def test_the_page_has_no_other_rows() -> None:
    shown = [code for code, _ in rows(PAGE.read_text())]
    assert shown == [use.shown for use in WRONG_USES]
    assert len(set(shown)) == len(shown) >= 40


def test_the_readme_leads_there() -> None:
    assert "docs/errors.md" in (PAGE.parents[1] / "README.md").read_text()
    assert Path(PAGE).name == "errors.md"
