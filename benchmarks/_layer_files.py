"""Each form of a layer as a small .tflite file, with its input and a check of its output. No TensorFlow is needed.

The stock forms of a layer that is no first one read signs as numbers: the float network's sign op is left out, so what
is measured is their convolution alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _layer import PIXEL_STEP, Layer

from keras_bnn.converter.bits import pack_signs, words_for
from keras_bnn.converter.custom_ops import SAME
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Graph, Model, Op, Tensor
from keras_bnn.converter.schema import schema

STOCK_KINDS = {
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
    "TransposeConv2D": "TRANSPOSE_CONV",
    "FullyConnected": "FULLY_CONNECTED",
}
# The first ones with int8, scales per channel and a bias.
INT8_VERSIONS = {"Conv2D": 3, "DepthwiseConv2D": 3, "TransposeConv2D": 3, "FullyConnected": 4}


class Form:
    """A way to run a layer.

    Attributes:
        content: The .tflite file.
        x: Its input.
    """

    def __init__(self, layer: Layer, x: np.ndarray, build: Callable[[Graph, Layer, Tensor], Tensor]):
        graph = Graph()
        scale = (PIXEL_STEP if layer.is_first else 1 / 127) if x.dtype == np.int8 else None
        fed = graph.add_tensor("x", x.shape, x.dtype, quantization=None if scale is None else _quantization([scale]))
        graph.inputs = [fed]
        self._y = build(graph, layer, fed)
        graph.outputs = [self._y]
        self._layer = layer
        self.x = x
        self.content = write_model(Model([graph]))

    def check(self, y: np.ndarray) -> None:
        """Stops unless the output is what plain arithmetic gives; int8 may be a step off, where it rounds twice.

        Raises:
            AssertionError: with the number of wrong elements.
        """
        expected = self._layer.outputs
        if y.dtype == np.int32:
            bits = np.unpackbits(y.astype("<i4").view(np.uint8), axis=-1, bitorder="little")
            np.testing.assert_array_equal(bits, expected < 0)
        elif y.dtype == np.int8:
            steps = np.clip(np.round(expected / self._y.record.quantization.scale[0]), -128, 127)
            np.testing.assert_allclose(y, steps, rtol=0, atol=1)
        else:
            np.testing.assert_array_equal(y, expected)


def packed_forms(layer: Layer) -> dict[str, Form]:
    """The layer on our ops, by what it reads and writes; a chain of binary layers consists of "bits to bits"."""
    real = layer.real_input
    if layer.is_first:
        return {
            "float to float": Form(layer, real, _to_float),
            "float to bits": Form(layer, real, _real_to_bits),
            "int8 to bits": Form(layer, layer.integers, _to_bits),
        }
    return {
        "bits to bits": Form(layer, pack_signs(real < 0), _to_bits),
        "float to float": Form(layer, real, _to_float),
    }


def stock_forms(layer: Layer) -> dict[str, Form]:
    """The layer on the runtime's own ops."""
    x = layer.summed_input
    integers = layer.integers if layer.is_first else (x * 127).astype(np.int8)
    return {"stock float32": Form(layer, x, _stock_float), "stock int8": Form(layer, integers, _stock_int8)}


def _to_bits(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Exact sums and thresholds: the smallest sum that is not negative once multiplier and bias are applied."""
    step = PIXEL_STEP if layer.is_first else 1
    thresholds = np.ceil(-layer.bias.astype(np.float64) / (layer.multiplier * step)).astype(np.int32)
    return _packed(graph, layer, x, [graph.add_constant("thresholds", thresholds)], writes_bits=True)


def _real_to_bits(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    return _packed(graph, layer, x, _multiplier_and_bias(graph, layer), writes_bits=True)


def _to_float(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    if not layer.is_first:
        bits = graph.add_tensor("bits", (*x.dims[:-1], words_for(layer.channels)), np.int32)
        graph.add_op("BnnQuantize", [x], [bits], {})
        x = bits
    return _packed(graph, layer, x, _multiplier_and_bias(graph, layer), writes_bits=False)


def _multiplier_and_bias(graph: Graph, layer: Layer) -> list[Tensor]:
    return [graph.add_constant("multiplier", layer.multiplier), graph.add_constant("bias", layer.bias)]


def _packed(graph: Graph, layer: Layer, x: Tensor, parameters: list[Tensor], *, writes_bits: bool) -> Tensor:
    weights = graph.add_constant("weights", pack_signs(layer.signs < 0))
    options = {"channels_in": layer.channels}
    if layer.op != "FullyConnected":
        options |= {"stride_h": layer.stride, "stride_w": layer.stride}
    if layer.op == "TransposeConv2D":
        before, behind = layer.transposed_pads
        options |= {"pad_top": before, "pad_left": before, "pad_bottom": behind, "pad_right": behind}
    elif layer.op != "FullyConnected":
        options |= {"padding": SAME}
    if layer.groups > 1:
        options["groups"] = layer.groups
    if writes_bits:
        y = graph.add_tensor("y", (*layer.output_shape[:-1], words_for(layer.filters)), np.int32)
    else:
        y = graph.add_tensor("y", layer.output_shape)
    graph.add_op(f"Bnn{layer.op}", [x, weights, *parameters], [y], options)
    return y


def _stock_float(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    weights = graph.add_constant("weights", _stock_layout(layer, layer.signs, layer.multiplier))
    bias = graph.add_constant("bias", layer.bias)
    y = graph.add_tensor("y", layer.output_shape)
    _add_stock_op(graph, layer, x, weights, bias, y)
    return y


def _stock_int8(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Weights of +-127, so that the int8 range is used as the stock converter uses it, and a scale per channel."""
    axis = 3 if layer.op == "DepthwiseConv2D" else 0
    scales = layer.multiplier / 127
    input_scale = x.record.quantization.scale[0]
    weights = graph.add_constant(
        "weights",
        _stock_layout(layer, layer.signs, np.full(layer.filters, 127)).astype(np.int8),
        quantization=_quantization(scales, axis),
    )
    bias = graph.add_constant(
        "bias",
        np.round(layer.bias / (input_scale * scales.astype(np.float64))).astype(np.int32),
        quantization=_quantization(input_scale * scales),
    )
    output_scale = float(np.abs(layer.outputs).max()) / 127
    y = graph.add_tensor("y", layer.output_shape, np.int8, quantization=_quantization([output_scale]))
    _add_stock_op(graph, layer, x, weights, bias, y).version = INT8_VERSIONS[layer.op]
    return y


def _add_stock_op(graph: Graph, layer: Layer, x: Tensor, weights: Tensor, bias: Tensor, y: Tensor) -> Op:
    inputs = [x, weights, bias]
    if layer.op == "TransposeConv2D":
        inputs = [graph.add_constant("shape", np.array(layer.output_shape, np.int32)), weights, x, bias]
    op = graph.add_op(STOCK_KINDS[layer.op], inputs, [y], _stock_options(layer))
    if layer.op == "TransposeConv2D":
        op.version = 3  # the first one with a bias
    return op


def _stock_layout(layer: Layer, signs: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The kernel times a number per output channel, laid out as the runtime's op reads it."""
    if layer.op == "DepthwiseConv2D":
        return (signs * scale)[np.newaxis]
    return signs * scale.reshape(-1, *[1] * (signs.ndim - 1))


def _stock_options(layer: Layer) -> Any:
    if layer.op == "FullyConnected":
        return schema.FullyConnectedOptionsT()
    if layer.op == "TransposeConv2D":
        options = schema.TransposeConvOptionsT()
    elif layer.op == "DepthwiseConv2D":
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = layer.filters // layer.channels
    else:
        options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = layer.stride
    if layer.op != "TransposeConv2D":
        options.dilationHFactor = options.dilationWFactor = 1
    return options


def _quantization(scales: Any, axis: int = 0) -> Any:
    """The schema's record of one scale, or of one per channel; zero points are 0."""
    record = schema.QuantizationParametersT()
    record.scale = np.asarray(scales, np.float32).tolist()
    record.zeroPoint = [0] * len(record.scale)
    record.quantizedDimension = axis
    return record
