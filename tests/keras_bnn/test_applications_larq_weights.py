"""Reading files in the layout that Larq's models are saved in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn.layers import BinaryConv2D, BinaryDense

Layers = list[tuple[str, list[tuple[str, np.ndarray]]]]


def make_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5, 5, 3)),
            keras.layers.DepthwiseConv2D(2, use_bias=False, trainable=False, name="blur"),
            BinaryConv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(scale=False, name="bn"),
            keras.layers.GlobalAveragePooling2D(),
            BinaryDense(6, name="dense"),
            keras.layers.Dense(2, name="top"),
        ]
    )


def file_layers() -> Layers:
    """What Larq would write for a model like that, with layers that have no weights, and a 1x1 convolution."""
    rng = np.random.default_rng(3)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0.1, 1, shape).astype("float32")

    return [
        ("input_1", []),
        ("depthwise_conv2d", [("depthwise_conv2d/depthwise_kernel:0", draw(2, 2, 3, 1))]),
        ("quant_conv2d", [("quant_conv2d/kernel:0", draw(3, 3, 3, 4))]),
        (
            "batch_normalization",
            [(f"batch_normalization/{kind}:0", draw(4)) for kind in ("beta", "moving_mean", "moving_variance")],
        ),
        ("average_pooling2d", []),
        ("quant_conv2d_1", [("quant_conv2d_1/kernel:0", draw(1, 1, 4, 6))]),
        ("dense", [("dense/kernel:0", draw(6, 2)), ("dense/bias:0", draw(2))]),
    ]


def write(path: Path, layers: Layers, group: str | None = None, chunks: int = 1) -> Path:
    """Writes the layout of Keras 2: attributes name the layers and the weights, long lists in several attributes."""
    with h5py.File(path, "w") as file:
        root = file if group is None else file.create_group(group)
        names = [name.encode() for name, _ in layers]
        if chunks == 1:
            root.attrs["layer_names"] = names
        else:
            for number, chunk in enumerate(np.array_split(names, chunks)):
                root.attrs[f"layer_names{number}"] = chunk
        for layer, values in layers:
            folder = root.create_group(layer)
            folder.attrs["weight_names"] = np.array([name.encode() for name, _ in values], dtype="S")
            for name, value in values:
                folder[name] = value
    return path


def arrays(model: keras.Model) -> list[np.ndarray]:
    return [weight.copy() for weight in model.get_weights()]


@pytest.mark.parametrize(("group", "chunks"), [(None, 1), ("model_weights", 1), (None, 12)])
def test_load(group: str | None, chunks: int, tmp_path: Path) -> None:
    layers = file_layers()
    # Twelve chunks: "layer_names10" comes before "layer_names2" in alphabetical order.
    filler: Layers = [(f"dropout_{number}", []) for number in range(chunks)]
    path = write(tmp_path / "larq.h5", [*filler, *layers], group, chunks)
    model = make_model()
    keras_bnn.load_larq_weights(model, path)
    expected = [value for _, values in layers for _, value in values]
    for weight, value in zip(arrays(model), expected, strict=True):
        np.testing.assert_array_equal(weight, value.reshape(weight.shape))


def wrong_shape(layers: Layers) -> Layers:
    layers[5] = ("quant_conv2d_1", [("quant_conv2d_1/kernel:0", np.zeros((1, 1, 6, 4), "float32"))])
    return layers


def wrong_kinds(layers: Layers) -> Layers:
    return [*layers[:3], ("bn", [("bn/gamma:0", np.zeros(4)), *layers[3][1][1:]]), *layers[4:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_shape, r"'quant_conv2d_1', does not fit .*'dense': its kernel has the shape \(1, 1, 6, 4\), .*\(4, 6\)"),
        (
            wrong_kinds,
            "Layer 3 .*'bn', does not fit .* gamma, moving_mean, moving_variance, the model expects beta, mov",
        ),
        (lambda layers: layers[:-1], "holds 4 layers with weights, but the model '.*' has 5; .* is 'top'"),
        (lambda layers: [*layers, ("extra", layers[1][1])], "holds 6 layers .* has 5; .* counterpart is 'extra'"),
        (lambda layers: [*layers[:2], *layers[3:]], "Layer 2 .*'batch_normalization', does not fit .*'conv': .*"),
    ],
)
def test_nothing_changes_when_something_does_not_fit(change, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "larq.h5", change(file_layers()))
    model = make_model()
    before = arrays(model)
    with pytest.raises(ValueError, match=message):
        keras_bnn.load_larq_weights(model, path)
    for old, new in zip(before, arrays(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_refuse_what_is_no_such_file(tmp_path: Path) -> None:
    model = make_model()
    with pytest.raises(FileNotFoundError, match="There is no weights file"):
        keras_bnn.load_larq_weights(model, tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match="is no HDF5 file"):
        keras_bnn.load_larq_weights(model, tmp_path / "text.h5")
    model.save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(ValueError, match=r"no attribute 'layer_names'.*\.weights\.h5"):
        keras_bnn.load_larq_weights(model, tmp_path / "new.weights.h5")
    with pytest.raises(ValueError, match="has no weights yet"):
        keras_bnn.load_larq_weights(keras.Sequential([BinaryDense(2)]), write(tmp_path / "a.h5", file_layers()))


def test_weights_of_an_application(tmp_path: Path) -> None:
    def quicknet(weights: Path | None) -> keras.Model:
        return keras_bnn.applications.QuickNetSmall(weights=weights, input_shape=(32, 32, 3), include_top=False)

    saved = quicknet(None)
    saved.save_weights(tmp_path / "own.weights.h5")
    layers = [(layer.name, _keras2_names(layer)) for layer in saved.layers]
    paths: Sequence[Path] = (tmp_path / "own.weights.h5", write(tmp_path / "larq.h5", layers))
    for path in paths:
        for old, new in zip(arrays(saved), arrays(quicknet(path)), strict=True):
            np.testing.assert_array_equal(old, new)
    with pytest.raises(FileNotFoundError, match="There is no weights file imagenet"):
        quicknet("imagenet")


def _keras2_names(layer: keras.layers.Layer) -> list[tuple[str, np.ndarray]]:
    weights = [*layer.trainable_weights, *layer.non_trainable_weights]
    return [(f"{layer.name}/{weight.name}:0", keras.ops.convert_to_numpy(weight)) for weight in weights]
