"""The applications have the parameters and the multiply-accumulates that were published."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn import applications

# Larq Zoo's own figures at 224 x 224 pixels and 1000 classes; tests/peers/zoo_models.py writes them.
ZOO = json.loads((Path(__file__).parents[1] / "peers" / "zoo_figures.json").read_text())

# What the zoo's documentation states, which counts 2 values per channel of a batch normalization for QuickNet only.
ZOO_PUBLISHED = {
    "BinaryAlexNet": 61_859_192,
    "XNORNet": 62_396_768,
    "BiRealNet18": 11_699_112,
    "BinaryResNetE18": 11_699_368,
    "RealToBinaryNet": 11_995_624,
    "BinaryDenseNet28": 5_150_504,
    "BinaryDenseNet37": 8_734_120,
    "BinaryDenseNet45": 13_939_240,
    "QuickNetSmall": 12_655_688,
    "QuickNet": 13_234_088,
    "QuickNetLarge": 23_342_248,
}

SMALL_INPUT = {
    "XNORNet": (224, 224, 3),
    "BinaryNetMNIST": (28, 28, 1),
    "BinaryNetCIFAR10": (32, 32, 3),
    "BinaryNetSVHN": (32, 32, 3),
}


def kernel_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


def is_binary(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "kernel_quantizer", None) is not None


def binary_weights(model: keras.Model) -> int:
    return sum(math.prod(layer.kernel.shape) for layer in kernel_layers(model) if is_binary(layer))


def macs(layer: keras.layers.Layer) -> int:
    """Each weight is used once in every pixel of the output."""
    return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)


def macs_of_the_summary(model: keras.Model) -> tuple[int, int]:
    total = keras_bnn.summary(model).to_dict()["total"]["macs"]
    return total["1x1"], sum(total.values()) - total["1x1"]


def folded_parameters(model: keras.Model) -> int:
    """Parameters when every batch normalization is a factor and a summand per channel."""
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return model.count_params() - sum(layer.count_params() - 2 * layer.moving_mean.shape[0] for layer in normalizations)


# By default one network of each family; XNORNet has 62 million parameters.
VARIANTS = ("BinaryDenseNet37", "BinaryDenseNet45", "QuickNet", "QuickNetLarge", "XNORNet")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in VARIANTS else ()) for name in ZOO]
)
def test_zoo_figures(name: str) -> None:
    model = getattr(applications, name)()
    layers = kernel_layers(model)
    binary = sum(macs(layer) for layer in layers if is_binary(layer) and layer.input_quantizer is not None)
    figures = {
        "parameters": model.count_params(),
        "binary_weights": binary_weights(model),
        "binary_macs": binary,
        "real_macs": sum(map(macs, layers)) - binary,
    }
    assert figures == ZOO[name]
    assert macs_of_the_summary(model) == (figures["binary_macs"], figures["real_macs"])
    published = folded_parameters(model) if name.startswith("QuickNet") else model.count_params()
    assert published == ZOO_PUBLISHED[name]


def convnet_macs(filters: int) -> list[int]:
    """Six 3x3 convolutions, two per image size; filters double where the image halves."""
    channels = [3, filters, filters, 2 * filters, 2 * filters, 4 * filters, 4 * filters]
    sizes = [32, 32, 16, 16, 8, 8]
    return [size**2 * 9 * a * b for size, a, b in zip(sizes, channels, channels[1:], strict=False)]


@pytest.mark.parametrize(
    ("name", "conv_macs", "dense_weights"),
    [
        ("BinaryNetCIFAR10", convnet_macs(128), [8192 * 1024, 1024 * 1024, 1024 * 10]),
        ("BinaryNetSVHN", convnet_macs(64), [4096 * 1024, 1024 * 1024, 1024 * 10]),
        ("BinaryNetMNIST", [], [784 * 4096, 4096 * 4096, 4096 * 4096, 4096 * 10]),
    ],
)
def test_paper_networks(name: str, conv_macs: list[int], dense_weights: list[int]) -> None:
    model = getattr(applications, name)()
    layers = kernel_layers(model)
    assert [macs(layer) for layer in layers] == conv_macs + dense_weights
    assert all(map(is_binary, layers))
    # Batch normalization has 4 values per channel; nothing else has parameters.
    channels = sum(layer.kernel.shape[-1] for layer in layers)
    assert model.count_params() == binary_weights(model) + 4 * channels


def test_reactnet_figures() -> None:
    """Table 2 of arXiv:2003.03488: 4.82e9 binary and 0.12e8 real-valued operations, from the paper's block widths."""
    model = applications.ReActNetA()
    layers = kernel_layers(model)
    binary = sum(macs(layer) for layer in layers if is_binary(layer))
    assert f"{binary:.2e}" == "4.82e+09"
    assert f"{(sum(map(macs, layers)) - binary) / 1e8:.2f}" == "0.12"
    # (input channels, output channels) of the 13 blocks: a 3x3 convolution that keeps them, a 1x1 that may double them.
    blocks = [(32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)]
    blocks += [(512, 512)] * 5 + [(512, 1024), (1024, 1024)]
    assert binary_weights(model) == sum(9 * a * a + a * b for a, b in blocks)
    # Per block and channel: a threshold and 4 values of batch normalization for each convolution, 3 for each RPReLU.
    others = 27 * 32 + 4 * 32 + sum(a + 4 * a + 3 * a + a + 4 * b + 3 * b for a, b in blocks) + 1024 * 1000 + 1000
    assert model.count_params() == binary_weights(model) + others
    # What PyTorch counts in the authors' program, and the moving statistics, which PyTorch calls buffers.
    assert model.count_params() == 29_343_592 + 21_888


def test_cifar10_network_has_14_million_weights() -> None:
    assert binary_weights(applications.BinaryNetCIFAR10()) == 14_022_016


def small_model(name: str, **arguments: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    arguments.setdefault("input_shape", SMALL_INPUT.get(name, (64, 64, 3)))
    return getattr(applications, name)(**arguments)


@pytest.mark.parametrize("name", ["BinaryNetMNIST", "BinaryNetSVHN", "QuickNetSmall", "ReActNetA"])
def test_from_config(name: str) -> None:
    model = small_model(name, classes=3)
    copy = keras.Model.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    images = np.random.default_rng(2).normal(0.1, 1, (1, *model.input_shape[1:])).astype("float32")
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(np.asarray(copy(images)), np.asarray(model(images)))


@pytest.mark.slow
@pytest.mark.parametrize("name", applications.__all__)
def test_train_save_and_load(name: str, tmp_path: Path) -> None:
    model = small_model(name, classes=3)
    images = np.random.default_rng(2).normal(0.1, 1, (4, *model.input_shape[1:])).astype("float32")
    before = [keras.ops.convert_to_numpy(layer.kernel).copy() for layer in kernel_layers(model) if layer.trainable]
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images, np.array([0, 1, 2, 1]), epochs=1, verbose=0)
    after = [keras.ops.convert_to_numpy(layer.kernel) for layer in kernel_layers(model) if layer.trainable]
    for old, new in zip(before, after, strict=True):
        assert not np.array_equal(old, new)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


@pytest.mark.parametrize("name", ["BinaryNetSVHN", "BinaryAlexNet", "QuickNetSmall", "BinaryResNetE18"])
def test_without_top_any_image_size(name: str) -> None:
    model = small_model(name, include_top=False, input_shape=(None, None, 3))
    assert model.output_shape[1:3] == (None, None)
    assert len(model.output_shape) == 4


def test_activation_of_the_scores() -> None:
    arguments = {"classes": 5, "input_shape": (32, 32, 3)}
    logits = small_model("QuickNetSmall", classifier_activation=None, **arguments)
    images = np.random.default_rng(2).normal(0.1, 1, (2, 32, 32, 3)).astype("float32")
    scores = small_model("QuickNetSmall", **arguments).predict(images, verbose=0)
    np.testing.assert_allclose(scores, keras.ops.softmax(logits.predict(images, verbose=0)), rtol=1e-5)
    assert scores.shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("BinaryNetMNIST", (28, 28, 1)), ("BinaryNetCIFAR10", (32, 32, 3)), ("QuickNetSmall", (224, 224, 3))],
)
def test_no_shape_is_the_default_one(name: str, shape: tuple[int, ...]) -> None:
    options = {"units": 8} if name == "BinaryNetMNIST" else {"include_top": False}
    assert getattr(applications, name)(input_shape=None, **options).input_shape == (None, *shape)


def test_name() -> None:
    assert applications.BinaryNetSVHN(include_top=False, name="digits").name == "digits"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (None, None, 3)}, "pass a height and a width"),
        ({"input_shape": (64, 64)}, r"pass \(height, width, channels\)"),
        ({"input_shape": (64, 64, None)}, r"pass \(height, width, channels\)"),
    ],
)
def test_refuse_shapes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        applications.BinaryAlexNet(**arguments)


def test_refuse_channels_first() -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="set_image_data_format"):
            applications.QuickNet()
    finally:
        keras.config.set_image_data_format("channels_last")
