"""load_delegate, delegate_path and cpu_info."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support import kernel_sets

import keras_bnn
from keras_bnn import runtime


def test_library_is_of_this_version() -> None:
    info = runtime.cpu_info()
    assert info["library_version"] == keras_bnn.__version__
    assert info["library_path"] == runtime.delegate_path()
    assert Path(info["library_path"]).name == "libkeras_bnn.so"


def test_supported_kernel_sets_are_those_of_the_cpu() -> None:
    info = runtime.cpu_info()
    assert sorted(info["supported_kernel_sets"]) == [
        isa for isa in kernel_sets.ALL if kernel_sets.why_unsupported(isa) is None
    ]
    assert info["kernel_sets"][-1] == "scalar"


def test_best_kernel_set_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BNN_ISA", raising=False)
    info = runtime.cpu_info()
    assert info["chosen_kernel_set"] == info["supported_kernel_sets"][0]


def test_environment_forces_a_kernel_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BNN_ISA", "scalar")
    assert runtime.cpu_info()["chosen_kernel_set"] == "scalar"
    monkeypatch.setenv("KERAS_BNN_ISA", "mmx")
    assert runtime.cpu_info()["chosen_kernel_set"] is None
    with pytest.raises(ValueError, match=r"mmx.*scalar"):
        runtime.load_delegate()


@pytest.mark.parametrize("isa", ["mmx", "SCALAR"])
def test_unknown_kernel_set_is_refused_with_those_that_work(isa: str) -> None:
    names = ", ".join(runtime.cpu_info()["supported_kernel_sets"])
    with pytest.raises(ValueError, match=re.escape(names)):
        runtime.load_delegate(isa=isa)


def test_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match=r"speed.*isa"):
        runtime.load_delegate(speed=11)


def test_delegate_serves_an_interpreter_of_the_user(dense_file: Path, weights: np.ndarray) -> None:
    interpreter = runtime.stock_runtime().Interpreter(
        model_path=str(dense_file), experimental_delegates=[runtime.load_delegate(isa="scalar")]
    )
    interpreter.allocate_tensors()
    x = np.random.default_rng(9).normal(size=(4, weights.shape[1])).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(y, np.where(x < 0, -1, 1) @ weights.T)


def test_packed_file_without_the_delegate_fails_clearly(dense_file: Path) -> None:
    interpreter = runtime.stock_runtime().Interpreter(model_path=str(dense_file))
    with pytest.raises(RuntimeError, match="BnnQuantize"):
        interpreter.allocate_tensors()


def test_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keras_bnn, "__path__", [str(tmp_path)])
    with pytest.raises(FileNotFoundError, match=r"pip install \."):
        runtime.delegate_path()


def test_library_for_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = Path(runtime.delegate_path()).read_bytes()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libkeras_bnn.so").write_bytes(library[:18] + b"\xf3\x00" + library[20:])  # RISC-V
    monkeypatch.setattr(keras_bnn, "__path__", [str(tmp_path)])
    from keras_bnn.runtime.library import load_library

    with pytest.raises(OSError, match="does not load on this machine"):
        load_library.__wrapped__()
