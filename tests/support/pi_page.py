"""The lines of docs/raspberry_pi.md, which tests run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "raspberry_pi.md"


def text() -> str:
    """The whole page."""
    return _PAGE.read_text()


def section(title: str) -> list[str]:
    """The command lines under a heading."""
    (found,) = re.findall(rf"^## {title}\n.*?^```\n(.*?)^```$", text(), re.DOTALL | re.MULTILINE)
    return found.splitlines()


def program() -> str:
    """The page's Python program."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", text(), re.DOTALL | re.MULTILINE)
    return code


def debian_packages() -> list[str]:
    """The packages that the page installs with apt."""
    words = shlex.split(section("Install")[0])
    assert words[:4] == ["sudo", "apt", "install", "-y"]
    return words[4:]


def copied_files() -> list[str]:
    """What the page copies to the Pi, as patterns in the checkout."""
    words = shlex.split(section("Copy")[-1])
    assert words[0] == "scp"
    return words[1:-1]
