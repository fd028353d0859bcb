"""What the stock TFLite converter makes of the layers: constant binary kernels, and signs of two ops."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import keras_bnn
from keras_bnn.layers import (
    BinaryConv1D,
    BinaryConv2D,
    BinaryConv2DTranspose,
    BinaryConv3D,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinarySeparableConv2D,
    Quantize,
    RPReLU,
    RSign,
    ShiftBatchNormalization,
)
from keras_bnn.runtime import Interpreter

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


# A model's layers, the shape of one input, the packed ops, and the plain ops that have none.
EXPORTED = {
    "dense": (lambda: [BinaryDense(33), BinaryDense(7, use_bias=True)], (40,), ["BnnFullyConnected"] * 2, []),
    "conv1d": (
        lambda: [BinaryConv1D(33, 3, padding="causal", pad_value=-1), BinaryConv1D(9, 3, strides=2, padding="same")],
        (12, 40),
        ["BnnConv2D"] * 2,
        [],
    ),
    "conv2d": (
        lambda: [BinaryConv2D(64, 3, padding="same", pad_value=-1, groups=2), Quantize(), BinaryConv2D(9, 3)],
        (8, 7, 64),
        ["BnnConv2D"] * 2,
        [],
    ),
    "conv3d": (
        lambda: [BinaryConv3D(9, 2, padding="same", pad_value=1), keras.layers.Flatten(), BinaryDense(7)],
        (3, 5, 4, 8),
        ["BnnFullyConnected"],
        ["CONV_3D"],
    ),
    "depthwise": (
        lambda: [BinaryDepthwiseConv2D(3, padding="same", pad_value=1, depth_multiplier=2), BinaryConv2D(9, 1)],
        (6, 5, 20),
        ["BnnDepthwiseConv2D", "BnnConv2D"],
        [],
    ),
    "separable": (
        lambda: [BinarySeparableConv2D(33, 3, padding="same")],
        (6, 5, 40),
        ["BnnDepthwiseConv2D", "BnnConv2D"],
        [],
    ),
    "transpose": (
        lambda: [BinaryConv2DTranspose(33, 3, strides=2, padding="same"), BinaryConv2D(9, 2)],
        (4, 3, 20),
        ["BnnTransposeConv2D", "BnnConv2D"],
        [],
    ),
    "shift batch normalization": (
        lambda: [BinaryConv2D(33, 3), ShiftBatchNormalization(), BinaryConv2D(9, 2), ShiftBatchNormalization()],
        (6, 5, 40),
        ["BnnConv2D"] * 2,
        [],
    ),
}


def random_model(blocks: list[keras.layers.Layer], shape: tuple[int, ...]) -> tuple[keras.Model, np.ndarray]:
    """A model with a value of its own in each variable, and inputs with zeros among them."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the TFLite converter traces TensorFlow: run with KERAS_BACKEND=tensorflow")
    rng = np.random.default_rng(sum(shape))
    model = keras.Sequential([keras.Input(shape), *blocks])
    model.set_weights([rng.uniform(0.2, 2, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, ShiftBatchNormalization):
            layer.moving_inverse_std.assign(np.abs(layer.get_weights()[-1]))
    return model, np.round(rng.normal(size=(5, *shape)) * 2).astype(np.float32)


@pytest.mark.parametrize("name", EXPORTED)
def test_the_packed_file_equals_the_layers_exactly(name: str) -> None:
    blocks, shape, packed, left = EXPORTED[name]
    model, x = random_model(blocks(), shape)
    expected = model.predict(x, verbose=0)
    report = keras_bnn.convert(model)
    # The stock kernels start their sums at the bias and so round more than once; packed sums of signs are integers.
    adds = any(weight.name in ("bias", "beta") for weight in model.weights)
    np.testing.assert_allclose(Interpreter(report.reference).predict(x), expected, rtol=0, atol=1e-4 if adds else 0)
    np.testing.assert_array_equal(Interpreter(report.model).predict(x), expected)
    assert [op.kind for op in report.packed] == packed
    without_op = {op.kind for op in report.left if f"{op.kind} has no packed op in this version" in op.reason}
    assert sorted(without_op) == left


def test_a_model_of_which_nothing_can_be_packed_is_refused_in_one_sentence() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the TFLite converter traces TensorFlow: run with KERAS_BACKEND=tensorflow")
    model = keras.Sequential([keras.Input((3, 5, 4, 8)), BinaryConv3D(9, 2)])
    with pytest.raises(
        ValueError, match=r"^No op could be packed; CONV_3D .* has no packed op in this version [^.]*\.$"
    ):
        keras_bnn.convert(model)


def test_the_building_blocks_of_reactnet_are_packed() -> None:
    blocks = [
        BinaryConv2D(40, 3, input_quantizer=RSign()),
        RPReLU(),
        BinaryConv2D(33, 2, input_quantizer=RSign()),
        RPReLU(),
    ]
    model, x = random_model(blocks, (6, 5, 40))
    expected = model.predict(x, verbose=0)
    report = keras_bnn.convert(model)
    for file in (report.reference, report.model):
        np.testing.assert_allclose(Interpreter(file).predict(x), expected, rtol=1e-5, atol=1e-4)
    assert [op.kind for op in report.packed] == ["BnnConv2D", "BnnConv2D"]
    assert report.replaced["PRELU"] == 2
    assert not report.unchanged
