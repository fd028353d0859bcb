"""The summary predicts the weight bytes of the packed file: compared with the files that `convert` writes."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import keras
import numpy as np
import pytest
from keras import KerasTensor, layers

import keras_bnn
from keras_bnn import applications
from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.layers import (
    BinaryConv1D,
    BinaryConv2D,
    BinaryConv2DTranspose,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinarySeparableConv2D,
    Quantize,
    RPReLU,
    RSign,
    ShiftBatchNormalization,
)

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason=f"models are converted on the tensorflow backend, this is {keras.backend.backend()}",
)
TOLERANCE = 0.02
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BN = layers.BatchNormalization


def randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random variables, as after a training: equal ones, zeros or ones, fold into fewer constants."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(size=variable.shape)
        is_factor = any(name in variable.path for name in ("variance", "gamma", "inverse_std"))
        variable.assign(np.abs(values) + 0.5 if is_factor else values)
    return model


def weight_bytes(file: bytes) -> int:
    """Bytes of all constants that come from weights, equal ones once: those of packed ops, and float32 arrays."""
    found = {}
    for op in read_model(file).ops:
        for tensor in op.inputs:
            if tensor is not None and tensor.buffer is not None:
                is_weight = op.kind.startswith("Bnn") or (tensor.type_name == "float32" and len(tensor.dims) > 0)
                found[bytes(tensor.buffer)] = len(tensor.buffer) * is_weight
    return sum(found.values())


def predicted_and_measured(model: keras.Model) -> tuple[int, int]:
    predicted = keras_bnn.summary(model).packed_bytes
    return predicted, weight_bytes(keras_bnn.convert(model, verify=False).model)


def readme() -> list[Any]:
    return [
        keras.Input((8, 8, 1)),
        BinaryConv2D(64, 3, input_quantizer=None),
        BN(),
        BinaryConv2D(64, 3),
        BN(),
        layers.Flatten(),
        BinaryDense(10),
        BN(),
        layers.Softmax(),
    ]


def example(name: str) -> list[Any]:
    """The layers of an example's network."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return __import__(name).network().layers
    finally:
        sys.path.remove(str(EXAMPLES))


STACKS: dict[str, Any] = {
    "README": readme,
    "MNIST ConvNet": lambda: [keras.Input((28, 28, 1)), *example("mnist_cnn")],
    "MNIST MLP": lambda: [keras.Input((28, 28, 1)), *example("mnist_mlp")],
    "unused bits in rows and words": lambda: [
        keras.Input((8, 8, 3)),
        *(BinaryConv2D(24, 3, input_quantizer=None), BN(), BinaryConv2D(40, 3, activation="relu"), BN()),
        *(layers.MaxPooling2D(), layers.Flatten(), BinaryDense(33), BN(), BinaryDense(10)),
    ],
    "signs of the input": lambda: [keras.Input((9, 9, 1)), layers.Flatten(), BinaryDense(64), BN(), BinaryDense(10)],
    "normalization behind a pool": lambda: [
        keras.Input((12, 12, 3)),
        *(BinaryConv2D(24, 3, input_quantizer=None), layers.MaxPooling2D(), BN(), BinaryConv2D(40, 3)),
        *(layers.MaxPooling2D(), BN(), layers.GlobalAveragePooling2D(), BinaryDense(33, input_quantizer=None), BN()),
        BinaryDense(10, kernel_quantizer=None),
    ],
    "real-valued convolutions": lambda: [
        keras.Input((12, 12, 3)),
        *(layers.DepthwiseConv2D(3, use_bias=False), BN(), layers.SeparableConv2D(8, 3, use_bias=False), BN()),
        *(layers.Conv2DTranspose(8, 3, use_bias=False), BN(), layers.Conv2D(7, 3, activation="relu"), BN()),
        *(layers.Conv2D(7, 3, dilation_rate=2), BN(), layers.Flatten(), BinaryDense(3)),
    ],
    "rank 3": lambda: [
        keras.Input((8, 3)),
        *(BinaryDense(32, input_quantizer=None), BN(), BinaryDense(16), BN(), layers.Dense(8), BN()),
        *(layers.Conv1D(5, 3), BN(), layers.LayerNormalization()),
    ],
    "conv 1d": lambda: [
        keras.Input((12, 4)),
        *(BinaryConv1D(40, 3, input_quantizer=None), BN(), BinaryConv1D(33, 3, strides=2), BN()),
        *(layers.MaxPooling1D(2), layers.Flatten(), BinaryDense(5)),
    ],
    "no op of their own": lambda: [
        keras.Input((12, 12, 4)),
        *(BinarySeparableConv2D(16, 3, input_quantizer=None), BN(), BinarySeparableConv2D(16, 3), BN()),
        *(BinaryDepthwiseConv2D(3), BN(), BinaryConv2DTranspose(8, 3), BN(), BinaryConv2D(9, 3), BN()),
        *(layers.Flatten(), BinaryDense(5)),
    ],
    "scaled kernels": lambda: [
        keras.Input((8, 8, 3)),
        BinaryConv2D(24, 3, input_quantizer=None, kernel_quantizer="magnitude_aware_sign"),
        *(layers.MaxPooling2D(), BN()),
        BinaryConv2D(40, 3, activation="relu", kernel_quantizer="magnitude_aware_sign"),
        *(BN(), layers.Flatten(), BinaryDense(33, use_bias=True, activation="relu"), BN(), BinaryDense(10)),
    ],
    "other quantizers": lambda: [
        keras.Input((8, 8, 3)),
        *(BinaryConv2D(24, 3, input_quantizer="dorefa"), BN()),
        *(BinaryConv2D(40, 3, input_quantizer="ste_tern", kernel_quantizer="ste_tern"), BN(), layers.Flatten()),
        *(BinaryDense(33, input_quantizer="ste_heaviside", kernel_quantizer="approx_sign"), BN()),
        BinaryDense(10, input_quantizer="swish_sign", kernel_quantizer="stochastic_sign"),
        BinaryDense(7, kernel_quantizer="ste_heaviside"),
    ],
    "learned thresholds": lambda: [
        keras.Input((8, 8, 3)),
        *(
            BinaryConv2D(24, 3, input_quantizer=None),
            BN(),
            BinaryConv2D(40, 3, input_quantizer="learned_threshold_sign"),
        ),
        *(BN(), layers.Flatten(), BinaryDense(33, input_quantizer="learned_threshold_sign"), BN(), BinaryDense(10)),
    ],
    "shift-based normalization": lambda: [
        keras.Input((8,)),
        *(BinaryDense(16, input_quantizer=None), ShiftBatchNormalization(), BinaryDense(16), ShiftBatchNormalization()),
        *(RPReLU(), BinaryDense(5), BN()),
    ],
    "groups and dilation": lambda: [
        keras.Input((24, 24, 4)),
        *(
            BinaryConv2D(64, 3, groups=2, input_quantizer=None),
            BN(),
            BinaryConv2D(64, 3, groups=2),
            layers.ReLU(),
            BN(),
        ),
        *(
            BinaryConv2D(32, 3, dilation_rate=2),
            layers.ReLU(6.0),
            BN(),
            layers.ReLU(),
            layers.Flatten(),
            BinaryDense(5),
        ),
    ],
}

STACKS |= {
    "normalization in front of a dense layer": lambda: [
        keras.Input((8, 8, 3)),
        *(BinaryConv2D(24, 3, input_quantizer=None), layers.ReLU(), layers.GlobalAveragePooling2D(), BN()),
        *(BN(), layers.Dropout(0.5), layers.Dense(7, activation="relu"), BN(), layers.Dense(5, use_bias=False)),
    ],
    "biases of dense layers in a row": lambda: [
        keras.Input((16,)),
        *(BinaryDense(33), BN(), layers.Dense(9), layers.Dense(8), BN(), layers.Dense(7), layers.Dense(6)),
    ],
    "a binary kernel that a normalization in front scales": lambda: [
        keras.Input((16,)),
        *(BN(), BinaryDense(33, input_quantizer=None), BN(), BinaryDense(9), BinaryDense(5, input_quantizer=None)),
    ],
    "real-valued convolutions in one dimension": lambda: [
        keras.Input((20, 8)),
        *(layers.DepthwiseConv1D(3), BN(), layers.ReLU(), layers.DepthwiseConv1D(3, dilation_rate=2), layers.ReLU()),
        *(layers.SeparableConv1D(8, 3), BN(), layers.ReLU(), layers.SeparableConv1D(8, 3, dilation_rate=2), BN()),
        *(layers.Conv1DTranspose(8, 3), BN(), layers.ReLU(), layers.Conv1DTranspose(8, 3, use_bias=False)),
        *(layers.Flatten(), BinaryDense(5)),
    ],
    "biases of zeros": lambda: [
        keras.Input((12, 12, 8)),
        *(layers.Conv2D(8, 3, use_bias=False), layers.DepthwiseConv2D(3, use_bias=False), layers.SeparableConv2D(8, 3)),
        *(layers.Conv2DTranspose(8, 3, use_bias=False), layers.Flatten(), BinaryDense(5)),
    ],
    "steps": lambda: [
        keras.Input((6, 8, 8, 3)),
        layers.TimeDistributed(BinaryConv2D(40, 3, input_quantizer=None)),
        *(layers.TimeDistributed(BN()), layers.TimeDistributed(BinarySeparableConv2D(7, 3)), layers.Reshape((6, -1))),
        layers.TimeDistributed(BinaryDense(9, input_quantizer="learned_threshold_sign")),
        *(layers.TimeDistributed(layers.Dense(4)), layers.Flatten(), BinaryDense(5)),
    ],
}


@pytest.mark.parametrize("name", STACKS)
def test_prediction_is_exact(name: str) -> None:
    predicted, measured = predicted_and_measured(randomize(keras.Sequential(STACKS[name]())))
    assert predicted == measured


@pytest.mark.parametrize("name", ["README", "learned thresholds", "normalization in front of a dense layer", "steps"])
def test_prediction_is_exact_for_untrained_stacks(name: str) -> None:
    predicted, measured = predicted_and_measured(keras.Sequential(STACKS[name]()))
    assert predicted == measured


def skip_connections(x: KerasTensor) -> list[KerasTensor]:
    x = BN()(BinaryConv2D(32, 3, padding="same", input_quantizer=None)(x))
    x = layers.Add()([x, BN()(BinaryConv2D(32, 3, padding="same")(x))])
    y = layers.PReLU(shared_axes=[1, 2])(BinaryConv2D(32, 3, padding="same")(x))
    x = layers.Concatenate()([x, BN()(y)])
    return [BinaryDense(10, input_quantizer=None)(layers.Flatten()(Quantize()(BN()(x))))]


def residual_with_shifts(x: KerasTensor) -> list[KerasTensor]:
    """A small ReActNet."""
    x = BN()(layers.Conv2D(32, 3, padding="same", use_bias=False)(x))
    for _ in range(2):
        y = BinaryConv2D(
            32, 3, padding="same", input_quantizer=RSign(), kernel_quantizer="magnitude_aware_sign", use_bias=False
        )(x)
        x = RPReLU()(layers.Add()([BN()(y), x]))
    halved = layers.AveragePooling2D(2)(x)
    return [BinaryConv2D(9, 1, input_quantizer=RSign())(halved), BinaryConv2D(7, 1, input_quantizer=RSign())(x)]


def normalization_first(x: KerasTensor) -> list[KerasTensor]:
    """A small binary DenseNet."""
    x = layers.Conv2D(32, 3, padding="same")(x)
    for _ in range(2):
        x = layers.Concatenate()([x, BinaryConv2D(32, 3, padding="same")(BN()(x))])
    return [BinaryConv2D(7, 1)(layers.MaxPooling2D()(BN()(x)))]


def everything_before_a_sign(x: KerasTensor) -> list[KerasTensor]:
    x = layers.MaxPooling2D()(BinaryConv2D(40, 3)(x))
    x = BN(gamma_initializer=keras.initializers.RandomNormal(seed=3))(x)  # some channels are pooled by their minimum
    x = RPReLU()(BinaryConv2D(33, 1, use_bias=True)(x))
    x = BinaryConv2D(20, 1, activation="relu", kernel_quantizer="magnitude_aware_sign")(BN()(x))
    return [BinaryConv2D(5, 1)(BN()(layers.MaxPooling2D()(BN()(x))))]


def depthwise_and_transposed(x: KerasTensor) -> list[KerasTensor]:
    x = BN()(BinaryConv2D(40, 3, input_quantizer=RSign())(x))
    x = BN()(layers.ReLU()(BinaryDepthwiseConv2D(3, padding="same", pad_value=1)(x)))
    x = BN()(BinaryConv2DTranspose(12, 3, strides=2, padding="same", use_bias=True)(x))
    return [BinarySeparableConv2D(8, 3, activation="relu", input_quantizer=RSign())(x)]


def joined_signs(x: KerasTensor) -> list[KerasTensor]:
    x = layers.Concatenate()([BN()(BinaryConv2D(channels, 3)(x)) for channels in (32, 40)])
    return [BinaryConv2D(9, 1)(x)]


def shifts_behind_convolutions(x: KerasTensor) -> list[KerasTensor]:
    """A convolution's bias takes up the shift behind it, but not behind an activation."""
    return [
        RPReLU()(y)
        for y in (
            layers.Conv2D(20, 3)(x),
            BN()(layers.Conv2D(21, 3, activation="relu")(x)),
            BN()(BinaryConv2D(22, 3)(x)),
            BN()(BinaryConv2D(24, 3, activation="relu")(x)),
            BN()(BinaryDepthwiseConv2D(3, depth_multiplier=2)(x)),
            BN()(BinaryConv2DTranspose(25, 3)(x)),
            layers.DepthwiseConv2D(3, depth_multiplier=5)(x),
            BN()(BinarySeparableConv2D(31, 3)(x)),
            layers.Dense(19)(layers.Flatten()(x)),
            BN()(x),
        )
    ]


def thresholds_behind_real_valued_sums(x: KerasTensor) -> list[KerasTensor]:
    return [
        BinaryConv2D(4, 1, input_quantizer=RSign())(y)
        for y in (
            BN()(x),
            BN()(layers.Conv2DTranspose(30, 3)(x)),
            layers.Conv2D(20, 3, activation="relu")(x),
            BN()(BinaryConv2D(21, 3, input_quantizer=None, activation="relu")(x)),
            BinaryConv2D(23, 3, dilation_rate=2, input_quantizer=None)(x),
        )
    ]


GRAPHS = (
    skip_connections,
    residual_with_shifts,
    normalization_first,
    everything_before_a_sign,
    depthwise_and_transposed,
    joined_signs,
    shifts_behind_convolutions,
    thresholds_behind_real_valued_sums,
)


@pytest.mark.parametrize("trained", [True, False], ids=["trained", "untrained"])
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_prediction_is_exact_for_graphs(graph: Any, trained: bool) -> None:
    x = keras.Input((12, 12, 8))
    model = keras.Model(x, graph(x))
    predicted, measured = predicted_and_measured(randomize(model) if trained else model)
    assert predicted == measured


@pytest.mark.parametrize("application", ["BiRealNet18", "QuickNetSmall"])
def test_prediction_is_exact_for_untrained_applications(application: str) -> None:
    model = getattr(applications, application)(input_shape=(32, 32, 3), classes=10)
    predicted, measured = predicted_and_measured(model)
    assert predicted == measured


@pytest.mark.slow
@pytest.mark.parametrize("trained", [True, False], ids=["trained", "untrained"])
def test_prediction_is_exact_for_reactnet(trained: bool) -> None:
    model = applications.ReActNetA(input_shape=(32, 32, 3), classes=10)
    predicted, measured = predicted_and_measured(randomize(model) if trained else model)
    assert predicted == measured


def test_prediction_for_a_shared_layer() -> None:
    shared, x = BinaryDense(40), keras.Input((16,))
    y = BN()(layers.Dense(40)(x))
    y = BN()(shared(BN()(shared(y))))
    predicted, measured = predicted_and_measured(randomize(keras.Model(x, BinaryDense(3)(y))))
    assert predicted == measured


def test_prediction_for_a_normalization_in_front_of_two_dense_layers() -> None:
    for use_bias in (True, False):  # without a bias in both, the normalization stays
        x = keras.Input((16,))
        y = BN()(x)
        model = keras.Model(x, [layers.Dense(3)(y), layers.Dense(4, use_bias=use_bias)(y), BinaryDense(5)(x)])
        predicted, measured = predicted_and_measured(randomize(model))
        assert predicted == measured


def random_model(seed: int) -> keras.Model:
    """A small image network of random layers, sizes and options."""
    random = Random(seed)

    def channels() -> int:
        return random.choice([7, 16, 31, 32, 33, 48, 64])

    stack: list[Any] = [keras.Input((16, 16, random.choice([1, 3, 8])))]
    for index in range(random.randint(2, 5)):
        options = {"padding": "same", "use_bias": random.random() < 0.3, "strides": random.choice([1, 1, 2])}
        quantizer = None if index == 0 or random.random() < 0.2 else "ste_sign"
        kind = random.choice(["binary", "binary", "binary", "real", "depthwise"])
        if kind == "binary":
            stack.append(BinaryConv2D(channels(), random.choice([1, 3]), input_quantizer=quantizer, **options))
        elif kind == "real":
            stack.append(layers.Conv2D(channels(), 3, **options))
        else:
            stack.append(layers.DepthwiseConv2D(3, **options))
        followers = [BN(), layers.ReLU(), layers.MaxPooling2D(padding="same"), layers.PReLU(shared_axes=[1, 2])]
        stack += random.sample(followers, random.randint(0, 3))
    stack += [random.choice([layers.Flatten(), layers.GlobalAveragePooling2D()])]
    stack += [random.choice([BinaryDense, layers.Dense])(channels()), BN()] if random.random() < 0.5 else []
    return keras.Sequential([*stack, BinaryDense(10)])


@pytest.mark.parametrize("seed", range(8))
def test_prediction_for_random_models(seed: int) -> None:
    model = randomize(random_model(seed))
    predicted, measured = predicted_and_measured(model)
    assert predicted == pytest.approx(measured, rel=TOLERANCE), f"{keras_bnn.summary(model)}"
