"""What Keras models alone have: threads that convert them, the order of their inputs and outputs, their dtypes."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn.layers import BinaryDense
from keras_bnn.runtime import Interpreter

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 4)).astype(np.float32)


def _dense(units: int, seed: int) -> BinaryDense:
    return BinaryDense(units, kernel_initializer=keras.initializers.GlorotUniform(seed))


def _predictions(model: keras.Model, x: Any, **options: Any) -> Any:
    return Interpreter(keras_bnn.convert(model, **options).model).predict(x)


def _assert_equal(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads() -> None:
    models = [keras.Sequential([keras.Input((4,)), _dense(8 + seed, seed), _dense(3, seed)]) for seed in range(4)]
    expected = [model.predict(X, verbose=0) for model in models]
    before = [os.fstat(descriptor) for descriptor in (1, 2)], sys.stdout, sys.stderr
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda model: _predictions(model, X), models))
    after = [os.fstat(descriptor) for descriptor in (1, 2)], sys.stdout, sys.stderr
    _assert_equal(found, expected)
    assert [(each.st_dev, each.st_ino) for each in after[0]] == [(each.st_dev, each.st_ino) for each in before[0]]
    assert after[1:] == before[1:]
    assert not sys.stdout.closed


def _in_list(inputs: list[Any]) -> Any:
    return inputs


def _in_dict(inputs: list[Any]) -> Any:
    return dict(zip("qp", inputs, strict=True))


@pytest.mark.parametrize(("names", "structure"), [("za", _in_list), ("az", _in_list), ("za", _in_dict)])
def test_inputs_are_in_the_order_of_keras(names: str, structure: Callable[[list[Any]], Any]) -> None:
    inputs = [keras.Input((4,), name=name) for name in names]
    y = keras.layers.Concatenate()([_dense(3 + seed, seed)(x) for seed, x in enumerate(inputs)])
    model = keras.Model(structure(inputs), y)
    report = keras_bnn.convert(model)
    arrays = [X, -2 * X]
    for file in (report.model, report.reference):
        interpreter = Interpreter(file)
        assert [spec.name for spec in interpreter.inputs] == [tensor.name for tensor in model.inputs]
        in_order = dict(zip(names, arrays, strict=True))
        listed = [in_order[tensor.name] for tensor in model.inputs]
        _assert_equal([interpreter.predict(listed)], [model.predict(structure(arrays), verbose=0)])
        _assert_equal([interpreter.predict(in_order)], [interpreter.predict(listed)])


def test_more_than_ten_inputs_of_equal_shape() -> None:
    inputs = [keras.Input((4,)) for _ in range(12)]
    model = keras.Model(inputs, keras.layers.Concatenate()([_dense(2, seed)(x) for seed, x in enumerate(inputs)]))
    arrays = [RNG.standard_normal((6, 4)).astype(np.float32) for _ in inputs]
    _assert_equal([_predictions(model, arrays)], [model.predict(arrays, verbose=0)])


def test_inputs_of_a_subclassed_model() -> None:
    class Network(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.denses = [_dense(2, seed) for seed in range(12)]

        def call(self, inputs: Any) -> Any:
            return keras.ops.concatenate([dense(x) for dense, x in zip(self.denses, inputs, strict=True)], -1)

    model, arrays = Network(), [RNG.standard_normal((6, 4)).astype(np.float32) for _ in range(12)]
    expected = keras.ops.convert_to_numpy(model(arrays))
    if keras.backend.backend() == "tensorflow":  # elsewhere the model would have to be saved
        _assert_equal([_predictions(model, arrays)], [expected])


def test_calibration_reads_lists_in_the_order_of_keras() -> None:
    inputs = [keras.Input((4,), name=name) for name in "za"]
    y = keras.layers.Add()([keras.layers.Dense(4)(x) for x in inputs])
    model = keras.Model(inputs, _dense(3, 0)(y))
    arrays = [100 * X, X]
    data = [[array[index : index + 1] for array in arrays] for index in range(len(X))]
    report = keras_bnn.convert(model, representative_dataset=data, inference_input_type="int8")
    scales = [spec.quantization[0] for spec in Interpreter(report.model).inputs if spec.quantization]
    assert scales[0] == pytest.approx(100 * scales[1], rel=1e-3)


@pytest.mark.parametrize("order", [order for order in itertools.product((0, 1), repeat=3) if len(set(order)) == 2])
def test_a_tensor_that_is_returned_twice(order: tuple[int, ...]) -> None:
    inputs = [keras.Input((4,), name=name) for name in "za"]
    ys = [_dense(3, 0)(inputs[0]), _dense(3, 1)(inputs[1])]
    model = keras.Model(inputs, [ys[index] for index in order])
    interpreter = Interpreter(keras_bnn.convert(model).model)
    assert [spec.name for spec in interpreter.outputs] == ["output_0", "output_1", "output_2"]
    _assert_equal(interpreter.predict([X, -2 * X]), model.predict([X, -2 * X], verbose=0))


def test_one_tensor_twice_and_nothing_else() -> None:
    x = keras.Input((4,))
    y = _dense(3, 0)(x)
    model = keras.Model(x, [y, y])
    _assert_equal(_predictions(model, X), model.predict(X, verbose=0))


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integer_inputs(dtype: str) -> None:
    model = keras.Sequential([keras.Input((4,), dtype=dtype), _dense(3, 0)])
    x = np.abs(5 * X).astype(dtype) if dtype == "uint8" else (5 * X).astype(dtype)
    interpreter = Interpreter(keras_bnn.convert(model).model)
    assert interpreter.inputs[0].dtype == dtype
    _assert_equal([interpreter.predict(x)], [model.predict(x, verbose=0)])


def test_a_model_that_cannot_be_exported() -> None:
    inputs = [keras.Input((4,), name=name) for name in ("a b", "class")]
    model = keras.Model(inputs, keras.layers.Add()([_dense(3, 0)(x) for x in inputs]), name="odd")
    with pytest.raises(ValueError, match=r"The model 'odd' cannot be exported \(.*\): change the layer that") as caught:
        keras_bnn.convert(model)
    assert "\n" not in str(caught.value)


def test_an_integer_tensor_that_is_returned_twice() -> None:
    x = keras.Input((4,))
    y, z = (keras.layers.Dense(units)(_dense(6, units)(x)) for units in (3, 2))
    report = keras_bnn.convert(
        keras.Model(x, [y, z, y]), representative_dataset=X, inference_output_type="uint8", verify=False
    )
    interpreter = Interpreter(report.model)
    assert [spec.name for spec in interpreter.outputs] == ["output_0", "output_1", "output_2"]
    first, second, third = interpreter.predict(X)
    assert second.shape == (len(X), 2)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, third)
