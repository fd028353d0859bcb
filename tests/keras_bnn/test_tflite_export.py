"""What the stock TFLite converter makes of the layers: constant binary kernels, and signs of two ops."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_bnn.layers import BinaryConv2D, BinaryDense

OPS = schema.BuiltinOperator


@pytest.fixture(scope="module")
def graph() -> tuple[schema.ModelT, list[schema.OperatorT]]:
    """A traced model whose kernels are larger than what the converter folds without question, and its ops."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the TFLite converter traces TensorFlow: run with KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    rng = np.random.default_rng(13)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            BinaryConv2D(32, 3, input_quantizer=None),
            keras.layers.BatchNormalization(),
            BinaryConv2D(64, 3, padding="same", pad_value=1),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(),
            keras.layers.Reshape((-1,)),
            BinaryDense(70),
            keras.layers.BatchNormalization(),
            BinaryDense(10),
            keras.layers.BatchNormalization(),
        ]
    )
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape) if "variance" in weight.path else rng.normal(size=weight.shape))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    return file, file.subgraphs[0].operators


def kind(file: schema.ModelT, op: schema.OperatorT) -> int:
    return file.operatorCodes[op.opcodeIndex].builtinCode


def constant(file: schema.ModelT, index: int) -> np.ndarray | None:
    tensor = file.subgraphs[0].tensors[index]
    data = file.buffers[tensor.buffer].data
    return None if data is None else np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)


def test_kernels_are_constants_of_one_absolute_value_per_channel(graph: tuple) -> None:
    file, ops = graph
    kernels = [constant(file, op.inputs[1]) for op in ops if kind(file, op) in (OPS.CONV_2D, OPS.FULLY_CONNECTED)]
    assert len(kernels) == 4
    for kernel in kernels:
        assert kernel is not None
        rows = kernel.reshape(len(kernel), -1)
        np.testing.assert_array_equal(np.abs(rows), np.abs(rows[:, :1]) * np.ones_like(rows))
        assert len(np.unique(np.abs(rows[:, 0]))) == len(rows)  # batch normalization is folded in
        assert np.all((rows < 0).any(1) & (rows > 0).any(1))


def test_signs_are_one_comparison_and_one_select(graph: tuple) -> None:
    file, ops = graph
    selects = [op for op in ops if kind(file, op) == OPS.SELECT_V2]
    assert len(selects) == 3  # one for each layer with binary input
    for select in selects:
        condition, below, above = select.inputs
        [comparison] = [op for op in ops if condition in op.outputs]
        assert kind(file, comparison) == OPS.LESS
        assert constant(file, comparison.inputs[1]) == 0
        assert (constant(file, below), constant(file, above)) == (-1, 1)
    allowed = {OPS.CONV_2D, OPS.FULLY_CONNECTED, OPS.LESS, OPS.SELECT_V2, OPS.PADV2, OPS.MAX_POOL_2D, OPS.RESHAPE}
    reshape = {OPS.SHAPE, OPS.STRIDED_SLICE, OPS.PACK}
    assert {kind(file, op) for op in ops} <= allowed | reshape
