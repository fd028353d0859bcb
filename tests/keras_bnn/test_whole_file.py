"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keras_bnn.whole_file import write_whole


def test_write_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    for content in (b"first", b"\x00second"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    other = tmp_path / "other.bin"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: create it, or pass another path\.$"):
        write_whole(tmp_path / "nowhere" / "file.bin", b"")
