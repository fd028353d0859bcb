"""docs/errors.md as text: one table for each section."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.wrong_uses import WrongUse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

_INTRODUCTION = """\
# What errors say

Every message is one sentence: what came, what was expected, what to do. Commands print it to standard error and
return 1, or 2 where the command line itself is wrong; Python raises the exception that stands in front. Nothing is
written then, and what was there stays. Below is what {count} wrong uses say, as tests found out by doing each; `<...>`
stands for what differs from machine to machine. `python tests/errors/write_page.py` writes this page anew.

`keras-bnn` itself runs in a process of its own: when native code crashes in it, as runtimes do on some damaged files,
that becomes a sentence and exit code 1 too. [Files](converter.md#files) are there whole or not at all.
"""


def page(messages: Sequence[tuple[WrongUse, str]]) -> str:
    """Returns the page with these messages."""
    parts = [_INTRODUCTION.format(count=len(messages))]
    for section, uses in itertools.groupby(messages, key=lambda pair: pair[0].section):
        lines = [f"## {section}", "| what | what it says |", "| --- | --- |"]
        lines += [f"| {_code(use.shown)} | {_code(message)} |" for use, message in uses]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def rows(text: str) -> Iterator[tuple[str, str]]:
    """Returns what the rows of a page show, each with its message."""
    for line in text.splitlines():
        if line.startswith("| `"):
            what, says = line.removeprefix("| ").removesuffix(" |").split(" | ")
            yield _plain(what), _plain(says)


def _code(text: str) -> str:
    ticks, room = ("``", " ") if "`" in text else ("`", "")
    return f"{ticks}{room}{text.replace('|', chr(92) + '|')}{room}{ticks}"


def _plain(code: str) -> str:
    text = code.strip("`")
    return (text[1:-1] if code.startswith("``") else text).replace("\\|", "|")
