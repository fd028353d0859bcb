"""keras_bnn.runtime.Interpreter: values, batches, dtypes, several inputs and outputs, errors."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_reference import VALID, pack

from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model, Signature
from keras_bnn.runtime import Interpreter, cpu_info

CHANNELS = 37


@pytest.fixture
def samples() -> np.ndarray:
    x = np.random.default_rng(5).normal(0.2, 1.0, (11, CHANNELS)).astype(np.float32)
    x[0, :3] = 0.0, -0.0, -1e-30
    return x


@pytest.fixture
def expected(samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (np.where(samples < 0, -1, 1) @ weights.T).astype(np.float32)


def free_batch_model() -> bytes:
    """Inputs `second` [batch, 2] and `first` [batch, 3]; outputs output_10 = first + 1, output_2 = 2 * second."""
    model = Model()
    graph = model.graphs[0]
    second = graph.add_input("tensor_b", (-1, 2))
    first = graph.add_input("tensor_a", (-1, 3))
    y1 = graph.add_tensor("y1", (-1, 3))
    y2 = graph.add_tensor("y2", (-1, 2))
    graph.add_op("ADD", [first, graph.add_constant("one", np.ones(1, np.float32))], [y1])
    graph.add_op("ADD", [second, second], [y2])
    graph.outputs += [y1, y2]
    inputs = [("first", first), ("second", second)]
    model.signatures.append(Signature("serving_default", graph, inputs, [("output_10", y1), ("output_2", y2)]))
    return write_model(model)


@pytest.mark.parametrize("isa", cpu_info()["supported_kernel_sets"])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_fixed_batch_runs_any_number_of_samples(
    dense_file: Path, samples: np.ndarray, expected: np.ndarray, isa: str, count: int
) -> None:
    interpreter = Interpreter(dense_file, isa=isa)
    y = interpreter.predict(samples[:count])
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected[:count])


@pytest.mark.parametrize(
    "source",
    [str, Path, Path.read_bytes, lambda path: bytearray(path.read_bytes()), lambda path: memoryview(path.read_bytes())],
)
def test_sources(dense_file: Path, samples: np.ndarray, expected: np.ndarray, source: type) -> None:
    np.testing.assert_array_equal(Interpreter(source(dense_file), num_threads=2).predict(samples), expected)


def test_ten_thousand_samples(dense_file: Path, weights: np.ndarray) -> None:
    x = np.random.default_rng(6).normal(size=(10_000, CHANNELS)).astype(np.float32)
    y = Interpreter(dense_file).predict(x)
    np.testing.assert_array_equal(y, np.where(x < 0, -1, 1) @ weights.T)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, np.bool_])
def test_float_input_takes_real_numbers(dense_file: Path, weights: np.ndarray, dtype: type) -> None:
    x = np.random.default_rng(7).integers(-3, 4, (4, CHANNELS)).astype(dtype)
    y = Interpreter(dense_file).predict(x)
    np.testing.assert_array_equal(y, np.where(x.astype(np.float64) < 0, -1, 1) @ weights.T)


def test_non_contiguous_input(dense_file: Path, samples: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(Interpreter(dense_file).predict(samples[::-2]), expected[::-2])


def test_results_are_copies(dense_file: Path, samples: np.ndarray, expected: np.ndarray) -> None:
    interpreter = Interpreter(dense_file)
    first = interpreter.predict(samples[:4])
    interpreter.predict(samples[4:8])
    np.testing.assert_array_equal(first, expected[:4])


def test_quantized_input_and_output(int8_model: bytes) -> None:
    interpreter = Interpreter(int8_model)
    assert interpreter.inputs[0].quantization == (0.5, -3)
    x = np.array([[-128, -4, -3], [-2, 0, 127], [5, -9, 1]], np.int8)
    y = interpreter.predict(x)
    assert y.dtype == np.int8
    np.testing.assert_array_equal(y, np.maximum(x, -3))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
def test_several_inputs_and_outputs(batch_size: int) -> None:
    interpreter = Interpreter(free_batch_model())
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    assert [spec.name for spec in interpreter.inputs] == ["second", "first"]
    assert [spec.shape for spec in interpreter.inputs] == [(None, 2), (None, 3)]
    assert [spec.name for spec in interpreter.outputs] == ["output_2", "output_10"]
    for x in ([second, first], {"first": first, "second": second}):
        doubled, plus_one = interpreter.predict(x, batch_size=batch_size)
        np.testing.assert_array_equal(doubled, second + second)
        np.testing.assert_array_equal(plus_one, first + 1)


def test_free_batch_resizes_both_ways() -> None:
    interpreter = Interpreter(free_batch_model())
    for count in (1, 7, 2):
        doubled, _ = interpreter.predict([np.full((count, 2), count), np.ones((count, 3))])
        np.testing.assert_array_equal(doubled, np.full((count, 2), 2.0 * count))


def test_free_image_size_and_recovery_from_one_that_does_not_fit() -> None:
    kernel = np.random.default_rng(10).choice([-1, 1], (2, 3, 3, 1))
    model = Model()
    graph = model.graphs[0]
    x, y = graph.add_input("x", (-1, -1, -1, 1)), graph.add_tensor("y", (-1, -1, -1, 2))
    constants = [
        graph.add_constant(name, values)
        for name, values in (("w", pack(kernel)), ("m", np.ones(2, np.float32)), ("b", np.zeros(2, np.float32)))
    ]
    graph.add_op("BnnConv2D", [x, *constants], [y], {"channels_in": 1, "padding": VALID})
    graph.outputs.append(y)
    interpreter = Interpreter(write_model(model))
    for size in (3, 2, 5):
        image = np.random.default_rng(size).integers(-9, 10, (2, size, size, 1)).astype(np.float32)
        if size < 3:
            with pytest.raises(ValueError, match=r"fails on inputs of the shape \(2, 2, 2, 1\): .*window"):
                interpreter.predict(image)
        else:
            windows = np.lib.stride_tricks.sliding_window_view(image[..., 0], (3, 3), axis=(1, 2))
            np.testing.assert_array_equal(
                interpreter.predict(image), np.einsum("nyxhw,ohw->nyxo", windows, kernel[..., 0])
            )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 36)), r"needs the shape \(samples, 37\), but x has the shape \(2, 36\)"),
        (np.zeros(37), r"needs the shape \(samples, 37\), but x has the shape \(37,\)"),
        (np.zeros((0, 37)), "no samples"),
        (np.zeros((2, 37), complex), "needs float32, but x is complex128"),
        (np.full((2, 37), "a"), "needs float32, but x is <U1"),
        ({"image": np.zeros((2, 37))}, r"names \['image'\], but the model's inputs are \['tensor_0'\]"),
    ],
)
def test_refuses_inputs_that_do_not_fit(dense_file: Path, x: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interpreter(dense_file).predict(x)  # type: ignore[arg-type]


def test_refuses_floats_for_an_integer_input_with_the_remedy(int8_model: bytes) -> None:
    with pytest.raises(ValueError, match=r"needs int8 \(quantize with round\(x / 0.5\) \+ -3\), but x is float64"):
        Interpreter(int8_model).predict(np.zeros((2, 3)))


def test_refuses_unequal_numbers_of_samples() -> None:
    with pytest.raises(ValueError, match=r"same number of samples, but they have \[2, 3\]"):
        Interpreter(free_batch_model()).predict([np.zeros((2, 2)), np.zeros((3, 3))])


def test_refuses_one_array_for_two_inputs() -> None:
    with pytest.raises(ValueError, match=r"2 inputs: pass a dict with the names \['second', 'first'\]"):
        Interpreter(free_batch_model()).predict(np.zeros((2, 2)))


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", 2**31])
def test_refuses_what_is_no_number_of_anything(dense_file: Path, number: Any) -> None:
    with pytest.raises(ValueError, match=f"num_threads is {number!r}: pass a whole number"):
        Interpreter(dense_file, num_threads=number)
    with pytest.raises(ValueError, match=f"batch_size is {number!r}: pass a whole number"):
        Interpreter(dense_file).predict(np.zeros((2, CHANNELS)), batch_size=number)


def test_numbers_of_numpy(dense_file: Path, samples: np.ndarray, expected: np.ndarray) -> None:
    interpreter = Interpreter(dense_file, num_threads=np.int64(2))  # type: ignore[arg-type]
    np.testing.assert_array_equal(interpreter.predict(samples, batch_size=np.uint8(3)), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [None, 3, [b""]])
def test_refuses_what_is_no_model(model: Any) -> None:
    with pytest.raises(ValueError, match=f"model is of the type {type(model).__name__}: pass the path"):
        Interpreter(model)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000])
def test_refuses_what_is_no_path(name: str) -> None:
    with pytest.raises(OSError, match=r"(does not exist|cannot be opened \(file name too long\)): pass the path of"):
        Interpreter(name)


def test_a_pipe(dense_file: Path, samples: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(dense_file.read_bytes()))
    writer.start()
    np.testing.assert_array_equal(Interpreter(tmp_path / "pipe").predict(samples), expected)
    writer.join()


def test_refuses_a_scalar_input() -> None:
    model = Model()
    graph = model.graphs[0]
    x, factor = graph.add_input("x", (-1, 2)), graph.add_input("factor", ())
    y = graph.add_tensor("y", (-1, 2))
    graph.add_op("MUL", [x, factor], [y])
    graph.outputs.append(y)
    with pytest.raises(ValueError, match="Input 'factor' of The model is a scalar, and predict takes samples: give it"):
        Interpreter(write_model(model)).predict([np.ones((2, 2)), np.float32(2)])


def test_refuses_names_of_several_types() -> None:
    with pytest.raises(ValueError, match=r"x has the names \[1, 'a'\]"):
        Interpreter(free_batch_model()).predict({1: np.zeros((2, 2)), "a": np.zeros((2, 3))})  # type: ignore[dict-item]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.tflite does not exist"):
        Interpreter(tmp_path / "no.tflite")


@pytest.mark.parametrize("content", [b"", b"hello world, no model", bytes(4) + b"TFL2" + bytes(90)])
def test_no_tflite_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(ValueError, match=r"is no \.tflite file"):
            Interpreter(source)


def test_cut_off_file(dense_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(dense_file.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cut\.tflite does not run on "):
        Interpreter(path)


def test_refused_model_says_what_the_delegate_found(dense_model: bytes) -> None:
    broken = dense_model.replace(b"channels_in", b"channels_up")
    with pytest.raises(ValueError, match=r'BnnFullyConnected .* the option "channels_in" is missing'):
        Interpreter(broken)
