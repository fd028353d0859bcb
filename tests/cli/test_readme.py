"""The code that README.md shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.slow
def test_first_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    import keras

    keras.utils.set_random_seed(0)
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)
    assert (tmp_path / "digits.tflite").is_file()
    assert names["accuracy"] > 0.9


def test_all_commands_are_listed() -> None:
    from keras_bnn.cli import COMMANDS

    assert re.findall(r"^\| `keras-bnn (\w+)", README.read_text(), re.MULTILINE) == list(COMMANDS)
