"""Wrong uses of the package, each with what its message must name, and how to find the message out.

docs/errors.md is made of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn import applications, callbacks, constraints, layers, metrics, optimizers, quantizers, runtime
from keras_bnn.cli import main
from keras_bnn.runtime import library, stock
from support.float_graphs import FloatGraph
from support.seed_files import seed_files


@dataclass(frozen=True)
class WrongUse:
    """One wrong use.

    Attributes:
        section: The part of the page.
        code: Python, or a command line, as the page shows it.
        came: What the message must name of what came.
        given: Environment variables for it.
        missing: A package that is not there.
        numpy: The numpy that is there.
    """

    section: str
    code: str
    came: str
    given: tuple[tuple[str, str], ...] = ()
    missing: str = ""
    numpy: str = ""

    @property
    def shown(self) -> str:
        """The code with its circumstances, as one would type it."""
        variables = [f"{name}={value}" for name, value in self.given]
        text = " ".join([*variables, self.code])
        if self.missing:
            text += f"  # without {self.missing}"
        if self.numpy:
            text += f"  # with numpy {self.numpy}"
        return text


def _in(section: str, *uses: tuple[Any, ...]) -> list[WrongUse]:
    return [WrongUse(section, *use) for use in uses]


WRONG_USES = [
    *_in(
        "Layers and quantizers",
        ('layers.BinaryDense(10, input_quantizer="ste_sing")', "ste_sing"),
        ('layers.BinaryConv2D(8, 3, data_format="channels_first")', "channels_first"),
        ('layers.BinaryConv2D(8, 3, padding="same", pad_value=2)', "pad_value=2"),
        (
            'layers.BinaryConv2D(8, 3, padding="same", pad_value=1, strides=2)(keras.Input((None, None, 3)))',
            "(None, None, None, 3)",
        ),
        ('layers.BinaryDense(10, dtype="int8_from_float32")', "int8_from_float32"),
        ("layers.BinaryConv2D(8, 3)(keras.Input((6, 6, None)))", "(None, 6, 6, None)"),
        ("layers.Quantize(None)", "quantizer=None"),
        ("layers.RPReLU()(keras.Input((None,)))", "(None, None)"),
        ("layers.ShiftBatchNormalization()(keras.Input((8, None)))", "(None, 8, None)"),
        ("layers.ShiftBatchNormalization(momentum=2)", "momentum=2"),
        (
            "q = quantizers.LearnedThresholdSign(); keras.Sequential([keras.Input((8,)), "
            "layers.BinaryDense(8, input_quantizer=q), layers.BinaryDense(8, input_quantizer=q)])",
            "LearnedThresholdSign",
        ),
        ("quantizers.SteSign(clip_value=0)", "clip_value=0"),
        ("quantizers.SteSign(clip_value=None)", "clip_value=None"),
        ("quantizers.DoReFa(k_bit=0)", "k_bit=0"),
        ('quantizers.DoReFa(mode="kernel")', "'kernel'"),
        ("quantizers.SteTern(threshold_value=-1)", "threshold_value=-1"),
        ("quantizers.SwishSign(beta=0)", "beta=0"),
        ("quantizers.NoOp(precision=0)", "precision=0"),
        ("quantizers.ste_sign(keras.Input((4,)))", "symbolic tensor"),
    ),
    *_in(
        "Training",
        ("optimizers.Bop(weight_decay=0.1)", "weight_decay=0.1"),
        ("optimizers.Bop(gamma=0)", "gamma=0"),
        ("optimizers.Bop(threshold=-1)", "threshold=-1"),
        ("optimizers.ShiftAdaMax(beta_1=1)", "beta_1=1"),
        ("adam = keras.optimizers.Adam(); optimizers.SplitOptimizer(adam, adam)", "one optimizer"),
        ("constraints.WeightClip(0)", "clip_value=0"),
        ('callbacks.HyperparameterScheduler(abs, "learning_rate", every="batch")', "'batch'"),
        ("metrics.FlipRatio(float_model)", "float_model"),
        ("callbacks.settle_batch_normalization(float_model, x)", "float_model"),
        ('keras_bnn.binarize("model.keras")', "str"),
        ('keras_bnn.binarize(float_model, skip="dense_9")', "dense_9"),
        ("keras_bnn.set_binary_weights(model, {})", "nothing"),
        ("keras_bnn.summary(keras.Sequential())", "sequential"),
        ("applications.BinaryNetCIFAR10(input_shape=(32, 32))", "(32, 32)"),
        ('applications.BiRealNet18(weights="weights.h5")', "weights.h5"),
    ),
    *_in(
        "Converting",
        ('keras_bnn.convert("no.keras")', "no.keras"),
        ('keras_bnn.convert("notes.txt")', ".txt"),
        ('keras_bnn.convert("folder")', "folder"),
        ("keras_bnn.convert(3)", "int"),
        ('keras_bnn.convert("text.tflite")', "b' is '"),
        ('keras_bnn.convert("cut.tflite")', "cut off"),
        ('keras_bnn.convert("plain.tflite")', "no binary op"),
        ('keras_bnn.convert("notes.keras")', "notes.keras"),
        ("keras_bnn.convert(keras.Sequential())", "sequential"),
        ('keras_bnn.convert("float.tflite", "packed.bin")', "packed.bin"),
        ('keras_bnn.convert("float.tflite", "no/packed.tflite")', "no"),
        ('keras_bnn.convert("float.tflite", "folder.tflite")', "folder.tflite"),
        ('keras_bnn.convert("float.tflite", "float.tflite")', "float.tflite"),
        ('keras_bnn.convert("float.tflite", "a.tflite", reference_path="a.tflite")', "a.tflite"),
        ('keras_bnn.convert("float.tflite", 3)', "int"),
        ('keras_bnn.convert("float.tflite", "")', "''"),
        ('keras_bnn.convert("float.tflite", verify="no")', "'no'"),
        ('keras_bnn.convert("float.tflite", inference_input_type="int4")', "int4"),
        ('keras_bnn.convert("float.tflite", inference_input_type="int8")', "int8"),
        ('keras_bnn.convert("float.tflite", representative_dataset=x[0])', "1x6x3"),
        ('keras_bnn.convert("float.tflite", representative_dataset={"y": x})', "y"),
        ('keras_bnn.convert("float.tflite", representative_dataset="x.npy")', "x.npy"),
        ('keras_bnn.convert("float.tflite", representative_dataset=x * float("nan"))', "NaN"),
        ('keras_bnn.converter.inspect("no.tflite")', "no.tflite"),
    ),
    *_in(
        "Running",
        ('runtime.Interpreter("no.tflite")', "no.tflite"),
        ('runtime.Interpreter("text.tflite")', "b' is '"),
        ('runtime.Interpreter("cut.tflite")', "cut.tflite"),
        ('runtime.Interpreter("folder.tflite")', "folder.tflite"),
        ('runtime.Interpreter("foreign.tflite")', "SomebodysOp"),
        ("runtime.Interpreter(None)", "NoneType"),
        ('runtime.Interpreter("packed.tflite", num_threads=0)', "0"),
        ('runtime.Interpreter("packed.tflite", num_threads="2")', "'2'"),
        ('runtime.Interpreter("packed.tflite", isa="avx9")', "avx9"),
        ('runtime.Interpreter("packed.tflite").predict(x[:, :5])', "(2, 5, 6, 3)"),
        ('runtime.Interpreter("packed.tflite").predict("x.npy")', "()"),
        ('runtime.Interpreter("packed.tflite").predict(x.astype("complex64"))', "complex64"),
        ('runtime.Interpreter("packed.tflite").predict(x[:0])', "0"),
        ('runtime.Interpreter("packed.tflite").predict({"image": x})', "image"),
        ('runtime.Interpreter("packed.tflite").predict(x, batch_size=0)', "0"),
        ('runtime.Interpreter("int8.tflite").predict(x)', "float32"),
        ('runtime.Interpreter("packed.tflite").profile()', "packed.tflite"),
        ("runtime.load_delegate(colour=1)", "colour"),
        ("runtime.load_delegate(profile=2)", "2"),
    ),
    *_in(
        "Commands",
        ("keras-bnn pack float.tflite packed.tflite", "pack"),
        ("keras-bnn convert float.tflite", "OUT"),
        ("keras-bnn convert float.tflite float.tflite", "float.tflite"),
        ("keras-bnn convert float.tflite a.tflite --representative-data notes.txt", ".txt"),
        ("keras-bnn convert float.tflite a.tflite --representative-data text.npy", "text.npy"),
        ("keras-bnn inspect packed.tflite --html packed.tflite", "packed.tflite"),
        ("keras-bnn inspect cut.tflite", "cut off"),
        ("keras-bnn run packed.tflite --input no.npy", "no.npy"),
        ("keras-bnn run packed.tflite --input text.npy", "text.npy"),
        ("keras-bnn run packed.tflite --input folder", "folder"),
        ("keras-bnn run packed.tflite --input x.npy --output x.npy", "x.npy"),
        ("keras-bnn run packed.tflite --input x.npy --output no/y.npy", "no"),
        ("keras-bnn run packed.tflite --input x.npy --threads 0", "0"),
        ("keras-bnn run packed.tflite --input x.npy --threads 99999999999", "99999999999"),
        ("keras-bnn benchmark packed.tflite --seconds -1", "-1"),
        ("keras-bnn benchmark packed.tflite --reference int8.tflite", "int8.tflite"),
    ),
    *_in(
        "The environment",
        ("keras-bnn run packed.tflite --input x.npy", "tflite", (("KERAS_BNN_RUNTIME", "tflite"),)),
        ("keras-bnn run packed.tflite --input x.npy", "avx9", (("KERAS_BNN_ISA", "avx9"),)),
        (
            "keras-bnn run packed.tflite --input x.npy",
            "tflite-runtime",
            (("KERAS_BNN_RUNTIME", "tflite-runtime"),),
            "tflite_runtime",
        ),
        (
            "keras-bnn run packed.tflite --input x.npy",
            "2.2.6",
            (("KERAS_BNN_RUNTIME", "tflite-runtime"),),
            "",
            "2.2.6",
        ),
        ("keras-bnn run packed.tflite --input x.npy", "ai-edge-litert", (), "any runtime"),
        ("keras_bnn.convert(model)", "TensorFlow", (), "tensorflow"),
        ('keras_bnn.convert("float.tflite", representative_dataset=x)', "ai-edge-quantizer", (), "ai_edge_quantizer"),
        ("keras-bnn run packed.tflite --input x.npy", "libkeras_bnn.so", (), "libkeras_bnn.so"),
    ),
]


# ---------------------------------------------------------------------------------------------------------- finding


@contextlib.contextmanager
def prepared_folder(folder: Path) -> Iterator[dict[str, Any]]:
    """Makes the folder that the uses find around them the current one, and gives their names."""
    seeds = {seed.name: seed for seed in seed_files()}
    float_file = seeds["_float_network"]
    files = {
        "float.tflite": float_file.content,
        "packed.tflite": seeds["_float_network_packed"].content,
        "int8.tflite": seeds["int8"].content,
        "cut.tflite": float_file.content[:1000],
        "text.tflite": b"This is text.",
        "text.npy": b"This is text.",
        "notes.txt": b"This is text.",
        "notes.keras": b"This is text.",
        "plain.tflite": _without_binary_ops(),
        "foreign.tflite": seeds["_float_network_packed"].content.replace(b"BnnMaxPool2D", b"SomebodysOp\0"),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "folder.tflite").mkdir()
    np.save(folder / "x.npy", float_file.x)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield {
            **{"keras": keras, "keras_bnn": keras_bnn, "runtime": runtime, "x": float_file.x},
            **{"layers": layers, "quantizers": quantizers, "optimizers": optimizers, "callbacks": callbacks},
            **{"constraints": constraints, "metrics": metrics, "applications": applications},
            "model": keras.Sequential([keras.Input((8,)), layers.BinaryDense(4, name="binary_dense")], name="model"),
            "float_model": keras.Sequential(
                [keras.Input((8,)), keras.layers.Dense(4, name="dense")], name="float_model"
            ),
        }
    finally:
        os.chdir(before)


def message_of(use: WrongUse, names: dict[str, Any]) -> str:
    """Returns what a wrong use says, with the exception's class or the exit code in front.

    What differs from machine to machine stands in angle brackets.
    """
    with pytest.MonkeyPatch.context() as patch:
        _arrange(use, patch)
        keras.utils.clear_session()  # layers are numbered from the start
        try:
            text = _command_message(use.code) if use.code.startswith("keras-bnn ") else _python_message(use.code, names)
        finally:
            stock.stock_runtime.cache_clear()
            library.load_library.cache_clear()
    return _general(text)


def _arrange(use: WrongUse, patch: pytest.MonkeyPatch) -> None:
    stock.stock_runtime.cache_clear()
    for name, value in use.given:
        patch.setenv(name, value)
    if use.missing == "libkeras_bnn.so":
        library.load_library.cache_clear()
        patch.setattr(library, "LIBRARY_NAME", "no_libkeras_bnn.so")
    elif use.missing == "any runtime":
        _hide(patch, "ai_edge_litert", "tflite_runtime", "tensorflow")
    elif use.missing:
        _hide(patch, use.missing)
    if use.numpy:
        patch.setattr(stock.importlib.util, "find_spec", lambda name: name)
        patch.setattr(stock, "_version", lambda name: "2.14.0")
        patch.setattr(np, "__version__", use.numpy)


def _hide(patch: pytest.MonkeyPatch, *modules: str) -> None:
    """Lets importing say that these are not installed."""
    find_spec = stock.importlib.util.find_spec
    patch.setattr(
        stock.importlib.util, "find_spec", lambda name, *rest: None if name in modules else find_spec(name, *rest)
    )
    for name in modules:
        patch.setitem(sys.modules, name, None)


def _python_message(code: str, names: dict[str, Any]) -> str:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(code, dict(names))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError(f"{code} raises nothing")


def _command_message(code: str) -> str:
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        try:
            exit_code = main(shlex.split(code)[1:])
        except SystemExit as exit_:
            exit_code = int(str(exit_.code))
    assert exit_code, f"{code} works"
    return f"exit code {exit_code}: {stderr.getvalue().strip().splitlines()[-1]}"


def _general(text: str) -> str:
    folder = os.path.realpath(os.curdir)
    text = text.replace(folder + os.sep, "").replace(folder, "<folder>")
    text = text.replace(library.LIBRARY_NAME.removeprefix("no_"), "libkeras_bnn.so").replace("no_lib", "lib")
    text = re.sub(r"(?<=under )\[[^]]*\]", "<folders>", text)
    kernel_sets = ", ".join(runtime.cpu_info()["supported_kernel_sets"]) if "that run here are" in text else ""
    if kernel_sets:
        text = text.replace(kernel_sets, "<kernel sets>")
    text = text.replace(platform.machine(), "<machine>")
    text = re.sub(r"(?<=loads here \().*(?=\): pass)", "<what Keras says>", text)
    text = re.sub(r"(?<=choose from ).*(?=\))", lambda names: names[0].replace("'", ""), text)  # as Python 3.12 does
    return re.sub(r"(?<=ai-edge-litert )\d[\w.]*", "<version>", text)


def _without_binary_ops() -> bytes:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 4))
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    return graph.finish(graph.dense(x, weights, np.zeros(3, np.float32)))
