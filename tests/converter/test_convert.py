"""`convert` from every kind of source, what it writes, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from format_reference import run_packed
from keras import layers
from support.float_graphs import FloatGraph, run_file

import keras_bnn
from keras_bnn.converter.flatbuffer import CorruptFileError
from keras_bnn.layers import BinaryConv2D, BinaryDense, Quantize

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
needs_tensorflow_backend = pytest.mark.skipif(
    not ON_TENSORFLOW, reason=f"a SavedModel is exported on the tensorflow backend, this is {keras.backend.backend()}"
)


def randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random variables, so that no sum is exactly 0 in front of a sign."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        values = rng.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    return model


def network(dtype: str | None = None) -> keras.Model:
    """A small network with each way that bits flow: first layer, pool, padding by 1, flatten, dense."""
    model = keras.Sequential(
        [
            keras.Input((8, 9, 3)),
            BinaryConv2D(24, 3, input_quantizer=None, padding="same", dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            BinaryConv2D(40, 3, strides=2, padding="same", pad_value=1, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.MaxPooling2D(dtype=dtype),
            layers.Flatten(dtype=dtype),
            BinaryDense(33, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            BinaryDense(10, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
        ]
    )
    return randomize(model)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network()


@pytest.fixture(scope="module")
def report(model: keras.Model) -> keras_bnn.converter.ConversionReport:
    return keras_bnn.convert(model)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(20, 8, 9, 3)).astype(np.float32)


def _structure(content: bytes) -> list[tuple[str, tuple[int, ...], int]]:
    """Kinds, output shapes and constants of the ops: equal for one network, whatever its layers are called."""
    from keras_bnn.converter.flatbuffer import read_model
    from keras_bnn.converter.patterns import constant_bytes

    return [(op.kind, op.output.dims, constant_bytes(op)) for op in read_model(content).ops]


class TestSources:
    """Each source gives the same network."""

    def test_keras_model(self, model: keras.Model, report: Any, images: np.ndarray) -> None:
        kinds = [(op.kind, op.input_type, op.output_type) for op in report.packed]
        assert kinds == [
            ("BnnConv2D", "float32", "bits"),
            ("BnnConv2D", "bits", "bits"),
            ("BnnFullyConnected", "bits", "bits"),
            ("BnnFullyConnected", "bits", "float32"),
        ]
        assert report.left == ()
        assert report.unchanged == {}
        (packed,) = run_packed(report.model, [images])
        np.testing.assert_array_equal(keras_bnn.runtime.Interpreter(report.model).predict(images), packed)
        np.testing.assert_allclose(packed, model.predict(images, verbose=0), rtol=1e-5, atol=1e-5)

    def test_batch_stays_free_and_signature_stays(self, report: Any, images: np.ndarray) -> None:
        interpreter = keras_bnn.runtime.Interpreter(report.model)
        assert interpreter.inputs[0].shape == (None, 8, 9, 3)
        assert interpreter.outputs[0].name == "output_0"
        one_by_one = [interpreter.predict(image[None])[0] for image in images]
        np.testing.assert_array_equal(one_by_one, interpreter.predict(images))

    def test_tflite_bytes_and_path(self, report: Any, tmp_path: Path) -> None:
        assert keras_bnn.convert(report.reference, verify=False).model == report.model
        path = tmp_path / "reference.tflite"
        path.write_bytes(report.reference)
        assert keras_bnn.convert(path, verify=False).model == report.model
        assert keras_bnn.convert(str(path), verify=False).model == report.model

    def test_keras_file(self, model: keras.Model, report: Any, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        model.save(path)
        assert _structure(keras_bnn.convert(path, verify=False).model) == _structure(report.model)

    @needs_tensorflow_backend
    def test_saved_model(self, model: keras.Model, report: Any, tmp_path: Path) -> None:
        model.export(tmp_path / "saved", verbose=False)
        assert _structure(keras_bnn.convert(tmp_path / "saved", verify=False).model) == _structure(report.model)

    @pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
    def test_mixed_precision(self, dtype: str, report: Any, images: np.ndarray) -> None:
        mixed = keras_bnn.convert(network(dtype))
        np.testing.assert_array_equal(run_packed(mixed.model, [images])[0], run_packed(report.model, [images])[0])

    def test_global_policy_is_left_as_it_was(self, report: Any, images: np.ndarray) -> None:
        keras.config.set_dtype_policy("mixed_float16")
        try:
            mixed = keras_bnn.convert(network(), verify=False)
            assert keras.config.dtype_policy().name == "mixed_float16"
        finally:
            keras.config.set_dtype_policy("float32")
        np.testing.assert_array_equal(run_packed(mixed.model, [images])[0], run_packed(report.model, [images])[0])

    @needs_tensorflow_backend
    def test_subclassed_model(self) -> None:
        class Network(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.norm, self.second = BinaryDense(20), layers.BatchNormalization(), BinaryDense(5)

            def call(self, inputs: Any) -> Any:
                return self.second(self.norm(self.first(inputs)))

        model = Network()
        x = np.random.default_rng(0).normal(size=(4, 37)).astype(np.float32)
        model(x)
        report = keras_bnn.convert(randomize(model))
        assert [op.output_type for op in report.packed] == ["bits", "float32"]
        np.testing.assert_array_equal(run_packed(report.model, [x])[0], model.predict(x, verbose=0))

    def test_several_inputs_and_outputs(self) -> None:
        one, two = keras.Input((12,), name="one"), keras.Input((7,), name="two")
        signs = Quantize()(one)
        y = layers.Concatenate()([BinaryDense(6)(signs), BinaryDense(4)(two)])
        model = randomize(keras.Model([one, two], [y, signs]))
        report = keras_bnn.convert(model)
        assert report.verification is not None
        assert report.verification.exact is not None
        assert report.verification.exact.largest_difference == 0
        rng = np.random.default_rng(0)
        x = {"one": rng.normal(size=(5, 12)).astype("f"), "two": rng.normal(size=(5, 7)).astype("f")}
        results = keras_bnn.runtime.Interpreter(report.model).predict(x)
        expected = model.predict([x["one"], x["two"]], verbose=0)
        for result, want in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, want)

    def test_packed_file_comes_back_unchanged(self, report: Any) -> None:
        again = keras_bnn.convert(report.model)
        assert again.model == report.model
        assert again.verification is None
        assert [op.bytes_after for op in again.packed] == [op.bytes_after for op in report.packed]
        assert "already packed" in str(again)

    def test_a_second_conversion_gives_the_same_bytes(self, report: Any) -> None:
        assert keras_bnn.convert(report.reference, verify=False).model == report.model


_OTHER_BACKEND = """
import sys
import numpy as np, keras, keras_bnn
from keras_bnn.layers import BinaryConv2D, BinaryDense
assert keras.backend.backend() == sys.argv[1]
model = keras.Sequential([
    keras.Input((6, 6, 3)),
    BinaryConv2D(8, 3, input_quantizer=None),
    keras.layers.BatchNormalization(),
    keras.layers.Flatten(),
    BinaryDense(5),
])
rng = np.random.default_rng(0)
for variable in model.variables:
    values = rng.normal(size=variable.shape)
    variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
report = keras_bnn.convert(model, verify=False)
x = rng.normal(size=(9, 6, 6, 3)).astype("float32")
np.testing.assert_array_equal(keras_bnn.runtime.Interpreter(report.model).predict(x), model.predict(x, verbose=0))
assert [op.kind for op in report.packed] == ["BnnConv2D", "BnnFullyConnected"], report
"""


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a Python of its own, with this one's module path."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        cwd=Path(__file__).parent,  # Python puts the current folder first, and the checkout's root has a keras_bnn/
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    result = run_python(_OTHER_BACKEND, backend, KERAS_BACKEND=backend)
    assert result.returncode == 0, result.stderr


class TestErrors:
    """One sentence each, and nothing written."""

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, tmp_path: Path) -> Any:
        self.target = tmp_path / "packed.tflite"
        self.target.write_bytes(b"an older file")
        yield
        assert self.target.read_bytes() == b"an older file"
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def refuse(self, source: Any, match: str, error: type[Exception] = ValueError) -> None:
        with pytest.raises(error, match=match) as caught:
            keras_bnn.convert(source, self.target)
        assert "\n" not in str(caught.value)

    def test_no_binary_op(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (1, 4))
        source = graph.finish(graph.dense(x, np.random.default_rng(0).normal(size=(3, 4)).astype("f")))
        self.refuse(source, r"holds no binary op.*keras_bnn\.layers")

    def test_no_op_that_could_be_packed(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (1, 4))
        source = graph.finish(graph.dense(graph.sign(x), np.random.default_rng(0).normal(size=(3, 4)).astype("f")))
        self.refuse(source, "No op could be packed; FULLY_CONNECTED .*channel 0 of its weights has 4 absolute values")

    def test_corrupt_file(self, report: Any, tmp_path: Path) -> None:
        path = tmp_path / "cut.tflite"
        path.write_bytes(report.reference[:-100])
        self.refuse(path, "damaged or cut off", CorruptFileError)
        self.refuse(b"no model", "not a .tflite file", CorruptFileError)

    def test_missing_file(self) -> None:
        self.refuse("nowhere.tflite", r"no file nowhere\.tflite", FileNotFoundError)

    def test_other_suffix(self, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(b"")
        self.refuse(path, r"suffix '\.onnx'")

    def test_folder_without_model(self, tmp_path: Path) -> None:
        self.refuse(tmp_path, r"holds no saved_model\.pb")

    def test_other_object(self) -> None:
        self.refuse(3.5, "source is of the type float: pass a Keras model")

    def test_damaged_keras_file(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        path.write_bytes(b"no zip file")
        self.refuse(path, r"model\.keras is no Keras model")

    def test_model_that_is_not_built(self) -> None:
        self.refuse(keras.Sequential([BinaryDense(3)]), "is not built: call it on data once")

    @needs_tensorflow_backend
    def test_layer_that_tflite_lacks(self) -> None:
        import tensorflow as tf

        class Cholesky(layers.Layer):
            def call(self, inputs: Any) -> Any:
                return tf.linalg.cholesky(inputs)

        model = keras.Sequential([keras.Input((4, 4)), BinaryDense(4), Cholesky(name="lower")])
        self.refuse(model, r"TFLite has no op for Cholesky \(.*lower.*\): replace the layer")

    def test_suffix_and_folder_of_the_target(self, report: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"ends in \.tflite"):
            keras_bnn.convert(report.reference, tmp_path / "model.bin")
        with pytest.raises(FileNotFoundError, match="no folder"):
            keras_bnn.convert(report.reference, tmp_path / "nowhere" / "model.tflite")
        with pytest.raises(ValueError, match=r"ends in \.tflite"):
            keras_bnn.convert(report.reference, self.target, reference_path=tmp_path / "reference")

    def test_quantized_model(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (1, 4), np.int8)
        weights = np.where(graph.kernel((3, 4)) < 0, -127, 127).astype(np.int8)
        y = graph.add_tensor("y", (1, 3), np.int8)
        dense = graph.dense(graph.add_input("float", (1, 4)), graph.kernel((3, 4))).producer
        assert dense is not None
        graph.add_op("FULLY_CONNECTED", [x, graph.constant(weights)], [y], dense.options)
        graph.ops.remove(dense)
        graph.inputs.pop()
        graph.tensors = [
            tensor for tensor in graph.tensors if tensor.producer is not dense and dense not in tensor.users
        ]
        self.refuse(graph.finish(y), "FULLY_CONNECTED y: it computes with int8; convert the .* without quantization")


_WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import keras_bnn
content = open(sys.argv[1], "rb").read()
report = keras_bnn.convert(content)
assert report.verification.samples == 16
assert "keras" not in sys.modules
import keras
try:
    keras_bnn.convert(keras.Sequential([keras.Input((3,)), keras_bnn.layers.BinaryDense(2)]))
except ImportError as error:
    print(error)
"""


def test_without_tensorflow(report: Any, tmp_path: Path) -> None:
    """A .tflite file needs neither TensorFlow nor Keras; a Keras model says what it needs."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed, and Keras needs a backend")
    path = tmp_path / "reference.tflite"
    path.write_bytes(report.reference)
    result = run_python(_WITHOUT_TENSORFLOW, str(path), KERAS_BACKEND="jax")
    assert result.returncode == 0, result.stderr
    assert "needs TensorFlow, which is not installed: pip install 'keras-bnn[train]'" in result.stdout


class TestFiles:
    """What is written."""

    def test_packed_file_and_reference(self, report: Any, tmp_path: Path, images: np.ndarray) -> None:
        target, reference = tmp_path / "packed.tflite", tmp_path / "reference.tflite"
        written = keras_bnn.convert(report.reference, target, reference_path=reference)
        assert target.read_bytes() == written.model == report.model
        assert reference.read_bytes() == report.reference
        assert written.path == str(target)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["packed.tflite", "reference.tflite"]
        np.testing.assert_allclose(
            run_file(reference.read_bytes(), [images])[0], run_packed(report.model, [images])[0], atol=1e-4
        )

    def test_permissions_are_the_users(self, report: Any, tmp_path: Path) -> None:
        target, ordinary = tmp_path / "packed.tflite", tmp_path / "ordinary"
        ordinary.touch()
        keras_bnn.convert(report.reference, target, verify=False)
        assert target.stat().st_mode == ordinary.stat().st_mode

    def test_nothing_is_written_without_a_path(
        self, report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert keras_bnn.convert(report.reference, verify=False).path is None
        assert list(tmp_path.iterdir()) == []

    @needs_tensorflow_backend
    def test_terminal_stays_quiet(self, model: keras.Model, capfd: pytest.CaptureFixture[str]) -> None:
        keras_bnn.convert(model, verify=False)
        assert capfd.readouterr() == ("", "")
