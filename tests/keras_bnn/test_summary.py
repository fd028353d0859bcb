"""What `keras_bnn.summary` tells: figures worked out by hand, every kind of layer, every way to build a model."""

from __future__ import annotations

import itertools
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import keras_bnn
from keras_bnn.layers import (
    BinaryConv2D,
    BinaryConv2DTranspose,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinarySeparableConv2D,
    Quantize,
)
from keras_bnn.model_summary import LayerSummary, ModelSummary
from keras_bnn.unique_filters import unique_filters


def network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            BinaryConv2D(40, 3, input_quantizer=None, name="first"),
            layers.BatchNormalization(name="norm"),
            BinaryConv2D(8, 3, strides=2, groups=4, use_bias=True, name="second"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="last"),
        ],
        name="hand_made",
    )


def rows(model: keras.Model, **kwargs: Any) -> dict[str, LayerSummary]:
    return {layer.name: layer for layer in keras_bnn.summary(model, **kwargs).layers}


def test_figures_worked_out_by_hand() -> None:
    summary = keras_bnn.summary(network())
    first, norm, second, pool, flatten, last = summary.layers
    assert [layer.name for layer in summary.layers] == ["first", "norm", "second", "pool", "flatten", "last"]
    assert (first.kind, norm.kind, last.kind) == ("BinaryConv2D", "BatchNormalization", "Dense")
    assert [layer.input_bits for layer in summary.layers] == [32, 32, 1, 32, 32, 32]
    shapes = [(10, 10, 40), (10, 10, 40), (4, 4, 8), (2, 2, 8), (32,), (5,)]
    assert [layer.output_shape for layer in summary.layers] == shapes
    assert first.weights == {1: 3 * 3 * 3 * 40}
    assert norm.weights == {32: 4 * 40}
    assert second.weights == {1: 3 * 3 * 10 * 8, 32: 8}
    assert last.weights == {32: 32 * 5 + 5}
    assert first.macs == {"1x32": 10 * 10 * 40 * 3 * 3 * 3}
    assert second.macs == {"1x1": 4 * 4 * 8 * 3 * 3 * 10}
    assert last.macs == {"32x32": 32 * 5}
    assert norm.macs == pool.macs == flatten.macs == {}
    # one word for the 3 channels of a tap, multiplier and bias; normalization is part of it
    assert first.packed_bytes == 40 * 3 * 3 * 4 + 40 * 8
    assert norm.packed_bytes == 0
    assert second.packed_bytes == 8 * 3 * 3 * 4 + 8 * 8
    assert last.packed_bytes == 32 * 5 * 4  # a bias of zeros, as it was built with, is left out
    assert last.float32_bytes == (32 * 5 + 5) * 4
    assert summary.weights == {1: 1080 + 720, 32: 160 + 8 + 165}
    assert summary.macs == {"1x1": 11520, "1x32": 108000, "32x32": 160}
    assert summary.float32_bytes == 4 * (1800 + 333)
    assert summary.packed_bytes == 1760 + 352 + 640
    assert summary.compression == pytest.approx(8532 / 2752)
    assert summary.notes == ()


# Input shape, layers, and multiply-accumulates by hand, of one model for each kind of layer.
def test_bits_are_followed_through_layers_that_move_values() -> None:
    x = inputs = keras.Input((8, 8, 4))
    x = Quantize("ste_sign")(x)
    for layer in (layers.MaxPooling2D(), layers.Dropout(0.5), layers.ZeroPadding2D(), layers.Flatten()):
        x = layer(x)
    moved = BinaryDense(16, input_quantizer=None, name="moved")(layers.Reshape((12, 12))(x))
    summed = BinaryDense(16, input_quantizer=None, name="summed")(layers.Add()([x, x]))
    joined = keras.ops.concatenate([x, keras.ops.reshape(Quantize("ste_tern")(summed), (-1, 16))], axis=-1)
    joined = BinaryDense(3, input_quantizer=None, name="joined")(joined)
    averaged = BinaryDense(3, input_quantizer=None, name="averaged")(layers.AveragePooling1D(2)(moved))
    own = BinaryDense(3, input_quantizer=keras_bnn.quantizers.DoReFa(4), name="own")(x)
    activated = layers.Dense(3, activation=keras_bnn.quantizers.SteSign(), name="activated")(x)
    activated = layers.Dense(3, name="behind")(activated)
    found = rows(keras.Model(inputs, [joined, averaged, own, activated]))
    bits = {name: found[name].input_bits for name in ("moved", "summed", "joined", "averaged", "own", "behind")}
    assert bits == {"moved": 1, "summed": 32, "joined": 2, "averaged": 32, "own": 4, "behind": 1}


def test_input_of_bytes() -> None:
    x = keras.Input((6,), dtype="uint8")
    model = keras.Model(x, BinaryDense(4, input_quantizer=None)(layers.Flatten()(x)))
    assert keras_bnn.summary(model).macs == {"1x8": 24}


def test_nested_and_shared_models() -> None:
    encoder = keras.Sequential([keras.Input((None, 6)), BinaryDense(4, name="code"), layers.ReLU()], name="encoder")
    x, y = keras.Input((5, 6)), keras.Input((3, 6))
    model = keras.Model([x, y], layers.Concatenate(axis=1)([encoder(x), encoder(y)]))
    code = rows(model)["encoder/code"]
    assert code.calls == 2
    assert code.output_shape == (5, 4)
    assert code.weights == {1: 24}
    assert code.macs == {"1x1": (5 + 3) * 24}
    assert keras_bnn.summary(model).notes == ()
    assert "encoder/code (2 calls)" in str(keras_bnn.summary(model))


class Block(layers.Layer):
    """A layer of layers, with an op that is no layer."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense, self.norm = BinaryDense(units, name="dense"), layers.BatchNormalization(name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.dense.build(input_shape)
        self.norm.build(self.dense.compute_output_shape(input_shape))

    def call(self, x: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        return keras.ops.relu(self.norm(self.dense(x), training=training)) + x


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.first, self.block = layers.Dense(6, name="first"), Block(6, name="block")

    def call(self, x: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        return self.block(self.first(x), training=training)


def test_subclassed_models_are_opened_and_left_as_they_were() -> None:
    model = Subclassed()
    model(np.zeros((2, 4), "float32"))
    before = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    summary = keras_bnn.summary(model)
    assert [layer.name for layer in summary.layers] == ["first", "block/dense", "block/norm"]
    assert summary.macs == {"1x1": 36, "32x32": 24}
    assert summary.notes == ()
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == before


class Scaled(layers.Layer):
    """A layer of layers with variables of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(6, name="dense")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.dense.build(input_shape)
        self.gamma = self.add_weight(shape=(6,), name="gamma")
        self.position = self.add_weight(shape=(5, 6), name="position", trainable=False)

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.multiply(self.gamma, self.dense(x)) + self.position


class OwnMatrix(keras.Model):
    """A subclassed model that multiplies by a matrix of its own."""

    def __init__(self) -> None:
        super().__init__(name="own_matrix")
        self.scaled = Scaled(name="scaled")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.matrix = self.add_weight(shape=(6, 3), name="matrix")
        self.scaled.build(input_shape)

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.matmul(self.scaled(self.scaled(x)), self.matrix)


def test_variables_of_layers_of_layers_have_a_row() -> None:
    model = OwnMatrix()
    model(np.zeros((2, 5, 6), "float32"))
    summary = keras_bnn.summary(model)
    own = {layer.name: layer for layer in summary.layers if layer.kind in ("OwnMatrix", "Scaled")}
    assert {name: layer.weights for name, layer in own.items()} == {"own_matrix": {32: 18}, "scaled": {32: 36}}
    assert {name: layer.packed_bytes for name, layer in own.items()} == {"own_matrix": 72, "scaled": 144}
    assert (own["scaled"].calls, own["scaled"].output_shape, own["scaled"].macs) == (2, (5, 6), {})
    assert [layer.name for layer in summary.layers][:3] == ["own_matrix", "scaled", "scaled/dense"]
    assert sum(summary.weights.values()) == model.count_params() == 18 + 36 + 42
    assert summary.macs == {"32x32": 2 * 5 * 36 + 5 * 18}
    assert summary.notes == ()


def test_variables_of_a_wrapper_have_a_row() -> None:
    model = keras.Sequential([keras.Input((9, 9, 3)), layers.SpectralNormalization(layers.Conv2D(4, 3, name="conv"))])
    summary = keras_bnn.summary(model)
    assert sum(summary.weights.values()) == model.count_params()
    assert [layer.kind for layer in summary.layers] == ["SpectralNormalization", "Conv2D"]
    assert summary.macs == {"32x32": 7 * 7 * 4 * 27}


class NeedsNumbers(keras.Model):
    """A subclassed model whose code asks for a number."""

    def __init__(self) -> None:
        super().__init__(name="needs_numbers")
        self.dense = layers.Dense(3)

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return self.dense(x) if float(keras.ops.mean(x)) >= 0 else self.dense(-x)


class NeedsTensors(NeedsNumbers):
    """A subclassed model whose code runs on the backend's tensors alone."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        if isinstance(x, keras.KerasTensor):
            raise TypeError("no symbols please")
        return self.dense(x)


class TwoArguments(NeedsNumbers):
    def call(self, x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
        return self.dense(x + y)


def test_subclassed_models_that_do_not_run_on_symbols_have_one_row() -> None:
    for kind, shape in ((NeedsTensors, (3,)), (NeedsNumbers, ())):
        model = kind()
        model(np.zeros((2, 4), "float32"))
        summary = keras_bnn.summary(model, input_shape=(4,))
        (row,) = summary.layers
        assert (row.name, row.kind, row.weights) == ("needs_numbers", kind.__name__, {32: 15})
        assert row.output_shape in (shape, (3,))
        (note,) = summary.notes
        assert note.startswith(f"{kind.__name__} 'needs_numbers': its call() does not run on symbolic tensors")


def test_refusals_of_subclassed_models() -> None:
    model = TwoArguments()
    model(np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32"))
    with pytest.raises(ValueError, match=r"'needs_numbers' takes several arguments in its call\(\), and Keras keeps"):
        keras_bnn.summary(model)
    model = NeedsNumbers()
    model(np.zeros((2, 4), "float32"))
    if model.get_build_config() is None:  # as where the backend cannot trace it
        with pytest.raises(ValueError, match="'needs_numbers' does not tell the shape of its input"):
            keras_bnn.summary(model)


def test_a_shape_that_does_not_fit_the_layers_is_refused() -> None:
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 5)])
    with pytest.raises(ValueError, match="negative"):
        keras_bnn.summary(model, input_shape=(3, 3, 3))


class Opaque(layers.Layer):
    """A layer of layers whose call needs numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = BinaryDense(3, name="dense")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.dense.build(input_shape)

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        if isinstance(x, keras.KerasTensor) and hasattr(x, "_keras_history"):
            raise TypeError("no symbols please")
        return self.dense(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 3)


class Scale(layers.Layer):
    """A layer of somebody's own, without layers inside."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x * self.scale


def test_notes() -> None:
    def my_sign(x: Any) -> Any:
        return keras.ops.sign(x)

    model = keras.Sequential(
        [
            keras.Input((None, None, 5)),
            Scale(name="scale"),
            BinaryDepthwiseConv2D(3, input_quantizer=None, name="depthwise"),
            BinarySeparableConv2D(5, 3, input_quantizer=None, name="separable"),
            BinaryDense(5, input_quantizer=my_sign, name="dense"),
            Opaque(name="opaque"),
        ]
    )
    summary = keras_bnn.summary(model)
    expected = [
        "Scale 'scale': a layer of your own, whose",
        "BinaryDepthwiseConv2D 'depthwise': its multiply-accumulates depend on sizes that are free",
        "BinaryDepthwiseConv2D 'depthwise': the packed file holds its kernel in float32",
        "BinarySeparableConv2D 'separable': its multiply-accumulates depend on sizes that are free",
        "BinarySeparableConv2D 'separable': the packed file holds its depthwise kernel in float32",
        "BinaryDense 'dense': its multiply-accumulates depend on sizes that are free",
        "BinaryDense 'dense': its quantizer my_sign has no attribute `precision`",
        "Opaque 'opaque': its call() does not run on symbolic tensors",
    ]
    assert [note[: len(start)] for note, start in zip(summary.notes, expected, strict=True)] == expected
    assert "*x*x5" in str(summary)
    opaque = {layer.name: layer for layer in summary.layers}["opaque"]
    assert opaque.weights == {1: 15}
    assert opaque.macs == {}
    sized = rows(model, input_shape=(9, 8, 5))
    assert sized["depthwise"].macs == {"1x32": 7 * 6 * 5 * 9}
    assert sized["dense"].macs == {"1x32": 5 * 4 * 5 * 5}


def test_refusals() -> None:
    with pytest.raises(TypeError, match="Got a int: pass a Keras model"):
        keras_bnn.summary(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'late' is not built: call it on data once, or give it a keras\.Input"):
        keras_bnn.summary(keras.Sequential([layers.Dense(3)], name="late"))
    with pytest.raises(ValueError, match=r"input_shape is \(12, 4, 3\): the model 'hand_made' takes \(12, 12, 3\)"):
        keras_bnn.summary(network(), input_shape=(12, 4, 3))
    x, y = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(ValueError, match="'two' has 2 inputs: leave input_shape out"):
        keras_bnn.summary(keras.Model([x, y], layers.Add()([x, y]), name="two"), input_shape=(3,))


def test_unique_filters_against_a_set_of_tuples() -> None:
    rng = np.random.default_rng(3)
    for shape in ((3, 3, 4, 200), (2, 2, 5, 1), (3, 1, 1, 40), (5, 5, 3, 60)):
        kernel = rng.choice([-1.0, -0.25, -0.0, 0.0, 0.5], shape)
        signs = np.where(kernel < 0, -1, 1)
        seen = {
            (i, max(tuple(plane), tuple(-value for value in plane)))
            for i, o in itertools.product(range(shape[2]), range(shape[3]))
            for plane in [signs[:, :, i, o].ravel().tolist()]
        }
        assert unique_filters(kernel) == (len(seen), shape[2] * shape[3])


def test_unique_filters_of_layers() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            BinaryConv2D(4, 3, kernel_initializer="ones", input_quantizer=None, name="same"),
            BinaryConv2D(4, 1, name="pointwise"),
            BinaryDepthwiseConv2D(2, depth_multiplier=3, depthwise_initializer="ones", name="depthwise"),
            BinaryConv2D(6, 2, groups=3, kernel_initializer="ones", name="grouped"),
            BinaryConv2DTranspose(5, 2, kernel_initializer="ones", name="transposed"),
            layers.Conv2D(4, 3, name="real"),
        ]
    )
    found = rows(model)
    counts = {name: (layer.unique_filters, layer.filters) for name, layer in found.items()}
    assert counts == {
        "same": (2, 8),
        "pointwise": (0, 0),
        "depthwise": (4, 12),
        "grouped": (12, 24),
        "transposed": (6, 30),
        "real": (0, 0),
    }
    assert keras_bnn.summary(model).unique_filter_share == 24 / 74


def test_filters_of_a_group_meet_its_own_channels() -> None:
    layer = BinaryConv2D(4, 2, groups=2, input_quantizer=None)
    model = keras.Sequential([keras.Input((4, 4, 2)), layer])
    kernel = np.ones((2, 2, 1, 4))
    kernel[0, 0, 0, 2] = -1  # the second group has two different filters, the first one twice the same
    layer.set_weights([kernel])
    (row,) = keras_bnn.summary(model).layers
    assert (row.unique_filters, row.filters) == (3, 4)


def test_text() -> None:
    lines = str(keras_bnn.summary(network())).splitlines()
    assert lines[0] == "hand_made"
    (first,) = (line for line in lines if line.startswith("first"))
    assert first.split()[:9] == ["first", "BinaryConv2D", "32", "10x10x40", "1,080", "1.72", "4.22", "108", "k"]
    (total,) = (line for line in lines if line.startswith("total"))
    assert total.split()[:5] == ["total", "1,800", "333", "2.69", "8.33"]
    assert "Weights: 8,532 bytes in float32, 2,752 in the packed file: 3.1 times smaller." in lines
    ends = {len(line) for line in lines if line.startswith("---")}
    assert len(ends) == 1


def test_dict_is_ready_for_json() -> None:
    found = keras_bnn.summary(network()).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["total"]["weights"] == {"1": 1800, "32": 333}
    assert found["layers"][2]["output_shape"] == [4, 4, 8]


class Page(HTMLParser):
    """Reads a page and refuses what is not closed or comes from elsewhere."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), BinaryDense(3, name="a_b")], name="<b>&")
    summary: ModelSummary = keras_bnn.summary(model)
    path = tmp_path / "summary.html"
    text = summary.to_html(path)
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]
    page = Page()
    page.feed(text)
    assert page.open == []
    assert {"table", "style", "title"} <= page.tags
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert "<b>&" in page.text
    assert {"a_b", "BinaryDense", "1x1 MACs"} <= set(page.text)
    assert summary._repr_html_() in text
    assert keras_bnn.summary(network()).to_html().count("<tr>") == 8


def test_figures_do_not_depend_on_the_order_of_calls() -> None:
    """A layer whose calls differ tells the widest input."""
    shared = BinaryDense(6, input_quantizer=None, name="shared")
    x = keras.Input((6,))
    signs = Quantize()(x)
    for outputs in (layers.Add()([shared(x), shared(signs)]), layers.Add()([shared(signs), shared(x)])):
        row = rows(keras.Model(x, outputs))["shared"]
        assert (row.input_bits, row.calls, row.macs) == (32, 2, {"1x1": 36, "1x32": 36})
