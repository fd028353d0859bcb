"""The multiply-accumulates that a summary tells of each kind of layer and op, against figures by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import keras_bnn
from keras_bnn.layers import (
    BinaryConv1D,
    BinaryConv2DTranspose,
    BinaryConv3D,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinarySeparableConv2D,
    Quantize,
    RPReLU,
    ShiftBatchNormalization,
)

COMMON_LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], list[layers.Layer]], dict[str, int]]] = {
    "dense on rank 3": ((7, 6), lambda: [layers.Dense(4)], {"32x32": 7 * 6 * 4}),
    "conv 1d": ((9, 6), lambda: [layers.Conv1D(4, 3)], {"32x32": 7 * 4 * 3 * 6}),
    "conv 2d": ((9, 8, 6), lambda: [layers.Conv2D(4, (3, 2), padding="same")], {"32x32": 9 * 8 * 4 * 3 * 2 * 6}),
    "conv 3d": ((5, 5, 5, 2), lambda: [layers.Conv3D(4, 3)], {"32x32": 27 * 4 * 27 * 2}),
    "depthwise 1d": ((9, 6), lambda: [layers.DepthwiseConv1D(3, depth_multiplier=2)], {"32x32": 7 * 12 * 3}),
    "depthwise": ((9, 9, 6), lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2)], {"32x32": 49 * 12 * 9}),
    "separable 1d": ((9, 6), lambda: [layers.SeparableConv1D(4, 3)], {"32x32": 7 * 6 * 3 + 7 * 6 * 4}),
    "separable": ((9, 9, 6), lambda: [layers.SeparableConv2D(4, 3)], {"32x32": 49 * 6 * 9 + 49 * 6 * 4}),
    "transpose 1d": ((9, 6), lambda: [layers.Conv1DTranspose(4, 3)], {"32x32": 9 * 6 * 3 * 4}),
    "transpose 2d": ((5, 4, 6), lambda: [layers.Conv2DTranspose(7, 3, strides=2)], {"32x32": 20 * 6 * 9 * 7}),
    "einsum dense": ((7, 6), lambda: [layers.EinsumDense("abc,cd->abd", (None, 4))], {"32x32": 7 * 6 * 4}),
    "einsum dense, dots": ((7, 6), lambda: [layers.EinsumDense("...c,cd->...d", (4,))], {"32x32": 7 * 6 * 4}),
    "simple rnn": ((7, 6), lambda: [layers.SimpleRNN(4)], {"32x32": 7 * (6 * 4 + 4 * 4)}),
    "lstm": ((7, 6), lambda: [layers.LSTM(4)], {"32x32": 7 * 4 * (6 * 4 + 4 * 4)}),
    "gru": ((7, 6), lambda: [layers.GRU(4, return_sequences=True)], {"32x32": 7 * 3 * (6 * 4 + 4 * 4)}),
    "bidirectional": ((7, 6), lambda: [layers.Bidirectional(layers.LSTM(4))], {"32x32": 2 * 7 * 4 * 40}),
    "conv lstm": (
        (3, 6, 6, 2),
        lambda: [layers.ConvLSTM2D(4, 3)],
        {"32x32": 3 * 4 * 4 * 4 * (3 * 3 * 2 * 4 + 3 * 3 * 4 * 4)},
    ),
    "time distributed": (
        (7, 5, 6),
        lambda: [layers.TimeDistributed(layers.Conv1D(4, 3))],
        {"32x32": 7 * 3 * 4 * 3 * 6},
    ),
    "embedding": ((7,), lambda: [layers.Embedding(11, 4)], {}),
    "normalizations": (
        (7, 7, 6),
        lambda: [
            layers.BatchNormalization(),
            layers.LayerNormalization(),
            layers.GroupNormalization(2),
            layers.PReLU(),
        ],
        {},
    ),
    "pools": (
        (9, 9, 6),
        lambda: [layers.AveragePooling2D(2), layers.MaxPooling2D(), layers.ReLU(), layers.GlobalAveragePooling2D()],
        {},
    ),
    "shapes": (
        (9, 6),
        lambda: [layers.Flatten(), layers.Reshape((6, 9)), layers.Permute((2, 1)), layers.Dropout(0.5)],
        {},
    ),
    "binary conv 1d": ((9, 6), lambda: [BinaryConv1D(4, 3)], {"1x1": 7 * 4 * 3 * 6}),
    "binary conv 3d": ((5, 5, 5, 2), lambda: [BinaryConv3D(4, 3)], {"1x1": 27 * 4 * 27 * 2}),
    "binary depthwise": ((9, 9, 6), lambda: [BinaryDepthwiseConv2D(3)], {"1x1": 49 * 6 * 9}),
    # what comes out of the depthwise half is not quantized again
    "binary separable": ((9, 9, 6), lambda: [BinarySeparableConv2D(4, 3)], {"1x1": 49 * 6 * 9, "1x32": 49 * 6 * 4}),
    "binary transpose": ((5, 4, 6), lambda: [BinaryConv2DTranspose(7, 3)], {"1x1": 20 * 6 * 9 * 7}),
    "dorefa": (
        (6,),
        lambda: [BinaryDense(4, input_quantizer=keras_bnn.quantizers.DoReFa(3), kernel_quantizer="ste_tern")],
        {"2x3": 6 * 4},
    ),
    "real kernel": ((6,), lambda: [BinaryDense(4, kernel_quantizer=None)], {"32x1": 6 * 4}),
    "our small layers": ((6,), lambda: [ShiftBatchNormalization(), RPReLU(), Quantize()], {}),
}


@pytest.mark.parametrize("name", COMMON_LAYERS)
def test_common_layers(name: str) -> None:
    shape, stack, macs = COMMON_LAYERS[name]
    model = keras.Sequential([keras.Input(shape), *stack()])
    summary = keras_bnn.summary(model)
    assert summary.macs == macs
    assert sum(summary.weights.values()) == model.count_params()
    assert "?" not in str(summary)
    assert "None" not in str(summary)
    assert not any("multiply-accumulates" in note for note in summary.notes)


def test_attention() -> None:
    x, y = keras.Input((7, 6)), keras.Input((5, 8))
    attended = layers.MultiHeadAttention(num_heads=3, key_dim=4, value_dim=2)(x, y)
    projections = 7 * (6 * 12 + 6 * 6) + 5 * (8 * 12 + 8 * 6)
    assert keras_bnn.summary(keras.Model([x, y], attended)).macs == {"32x32": projections + 7 * 5 * 3 * (4 + 2)}
    z = keras.Input((5, 6))
    assert keras_bnn.summary(keras.Model([x, z], layers.Attention()([x, z]))).macs == {"32x32": 7 * 5 * 6 * 2}
    assert keras_bnn.summary(keras.Model([x, z], layers.Dot(axes=2)([x, z]))).macs == {"32x32": 7 * 5 * 6}
    product = keras.ops.matmul(x, keras.ops.transpose(z, (0, 2, 1)))
    assert keras_bnn.summary(keras.Model([x, z], product)).macs == {"32x32": 7 * 5 * 6}


def test_attention_with_arguments_by_name() -> None:
    x, y = keras.Input((7, 6)), keras.Input((5, 8))
    found = []
    for by_name in (True, False):
        attention = layers.MultiHeadAttention(num_heads=3, key_dim=4)
        attended = attention(query=x, value=y, key=y) if by_name else attention(x, y, y)
        found.append(keras_bnn.summary(keras.Model([x, y], attended)).macs)
    assert found[0] == found[1] == {"32x32": 7 * 2 * 6 * 12 + 5 * 2 * 8 * 12 + 7 * 5 * 3 * 8}
    state = keras.Input((4,))
    outputs = layers.GRU(4)(sequences=x, initial_state=state)
    assert keras_bnn.summary(keras.Model([x, state], outputs)).macs == {"32x32": 7 * 3 * (6 * 4 + 4 * 4)}


def constant(*shape: int) -> Any:
    return keras.ops.convert_to_tensor(np.ones(shape, "float32"))


# Ops on tensors of shape (7, 6) and (5, 6), and their multiply-accumulates by hand.
OPS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "matmul": (lambda x, y: keras.ops.matmul(x, constant(6, 4)), 7 * 4 * 6),
    "matmul, constant first": (lambda x, y: keras.ops.matmul(constant(3, 7), x), 3 * 6 * 7),
    "dot": (lambda x, y: keras.ops.dot(x, constant(6, 4)), 7 * 4 * 6),
    "inner": (lambda x, y: keras.ops.inner(x, constant(4, 6)), 7 * 4 * 6),
    "tensordot": (lambda x, y: keras.ops.tensordot(x, constant(7, 6, 4), axes=2), 4 * 7 * 6),
    "tensordot, axis": (lambda x, y: keras.ops.tensordot(x, constant(4, 6), axes=([2], [1])), 7 * 4 * 6),
    "tensordot, axes": (lambda x, y: keras.ops.tensordot(x, constant(6, 4, 7), axes=([1, 2], [2, 0])), 4 * 7 * 6),
    "einsum": (lambda x, y: keras.ops.einsum("bqc,bkc->bqk", x, y), 7 * 5 * 6),
    "einsum, dots": (lambda x, y: keras.ops.einsum("...c,cd->...d", x, constant(6, 4)), 7 * 4 * 6),
    "einsum of one": (lambda x, y: keras.ops.einsum("bqc->bc", x), 0),
    "conv": (lambda x, y: keras.ops.conv(x, constant(3, 6, 4)), 5 * 4 * 3 * 6),
    "depthwise conv": (lambda x, y: keras.ops.depthwise_conv(x, constant(3, 6, 2)), 5 * 12 * 3),
    "separable conv": (
        lambda x, y: keras.ops.separable_conv(x, constant(3, 6, 2), constant(1, 12, 4)),
        5 * 12 * (3 + 4),
    ),
    "conv transpose": (lambda x, y: keras.ops.conv_transpose(x, constant(3, 4, 6), strides=2), 7 * 6 * 3 * 4),
    "attention": (
        lambda x, y: keras.ops.dot_product_attention(*(keras.ops.expand_dims(one, 2) for one in (x, y, y))),
        7 * 5 * 2 * 6,
    ),
    "single numbers": (lambda x, y: keras.ops.relu(x * constant(6)) + 1.0, 0),
}


@pytest.mark.parametrize("name", OPS)
def test_ops_between_layers(name: str) -> None:
    op, macs = OPS[name]
    x, y = keras.Input((7, 6)), keras.Input((5, 6))
    summary = keras_bnn.summary(keras.Model([x, y], [op(x, y), y]))
    assert summary.macs == ({"32x32": macs} if macs else {})
    assert summary.notes == ()


def test_ops_whose_multiply_accumulates_are_not_known() -> None:
    x = keras.Input((6, 6))
    for outputs, kind in (
        (keras.ops.einsum("bij,jk,kl->bil", x, constant(6, 4), constant(4, 2)), "Einsum"),
        (keras.ops.inv(x), "Inv"),
    ):
        summary = keras_bnn.summary(keras.Model(x, outputs))
        assert summary.macs == {}
        (note,) = summary.notes
        assert note.startswith(f"{kind} '")
        assert note.endswith("': an op whose multiply-accumulates are not known and not counted.")


def test_free_sizes_are_not_counted_as_one() -> None:
    x = keras.Input((None, 5))
    stepped = layers.TimeDistributed(layers.Dense(4, name="dense"), name="steps")(x)
    product = keras.ops.matmul(x, constant(5, 3))
    summary = keras_bnn.summary(keras.Model(x, [stepped, product]))
    assert summary.macs == {}
    kinds = {note.partition(" ")[0] for note in summary.notes if "depend on sizes that are free" in note}
    assert kinds == {"Dense", "Matmul"}
    assert keras_bnn.summary(keras.Model(x, [stepped, product]), input_shape=(7, 5)).macs == {"32x32": 7 * 5 * (4 + 3)}
