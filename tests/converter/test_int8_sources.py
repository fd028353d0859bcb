"""Files that ai-edge-quantizer made of a whole float model, binary layers included."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import SAME, FloatGraph, kinds

from keras_bnn import runtime
from keras_bnn.converter import convert
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Model, Signature, Tensor

quantizer = pytest.importorskip("ai_edge_quantizer").quantizer

SAMPLES = np.random.default_rng(0).normal(size=(30, 8, 8, 3)).astype(np.float32)
RECIPES = {
    "static": {"activation_num_bits": 8, "weight_num_bits": 8},
    "dynamic": {"num_bits": 8},
    "weight_only": {"num_bits": 8},
}


def network() -> bytes:
    """Real convolution, then a binary kernel of each kind, with a concatenation of signs."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 3))
    y = graph.conv(x, graph.rng.normal(size=(32, 3, 3, 3)).astype(np.float32), graph.bias(32), padding=SAME)
    one = graph.sign(_depthwise(graph, graph.sign(y), graph.kernel((32, 3, 3))))
    two = graph.sign(graph.conv(one, graph.kernel((32, 3, 3, 32)), graph.bias(32), padding=SAME))
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    joined = graph.op("CONCATENATION", [one, two], (-1, 8, 8, 64), options)
    y = graph.sign(graph.pool(graph.conv(joined, graph.kernel((8, 3, 3, 64)), graph.bias(8), padding=SAME)))
    y = graph.dense(graph.reshape(y, (-1, 128)), graph.kernel((10, 128)), graph.bias(10))
    graph.outputs, graph.pinned = [y], {x, y}
    return write_model(Model([graph], [Signature("serving_default", graph, [("x", x)], [("y", y)])]))


def _depthwise(graph: FloatGraph, x: Tensor, weights: np.ndarray) -> Tensor:
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.strideH, options.strideW, options.depthMultiplier = SAME, 1, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    inputs = [x, graph.constant(np.moveaxis(weights, 0, -1)[None]), graph.constant(graph.bias(len(weights)))]
    return graph.op("DEPTHWISE_CONV_2D", inputs, x.dims, options)


def quantized(recipe: str) -> bytes:
    """The whole network in one of ai-edge-quantizer's modes."""
    with contextlib.redirect_stderr(io.StringIO()):
        work = quantizer.Quantizer(network())
        getattr(work, f"add_{recipe}_config")(".*", "*", **RECIPES[recipe])
        ranges = None
        if work.need_calibration:
            ranges = work.calibrate({"serving_default": [{"x": sample[None]} for sample in SAMPLES]})
        return bytes(work.quantize(ranges, enable_progress_report=False).quantized_model)


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_binary_kernel_is_packed(recipe: str) -> None:
    source = quantized(recipe)
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"} <= {op.kind for op in read_model(source).ops}
    report = convert(source)
    packed = ["BnnQuantize", "BnnDepthwiseConv2D", "BnnConv2D", "CONCATENATION", "BnnConv2D", "BnnMaxPool2D"]
    (graph,) = read_model(report.model).graphs
    assert [kind for kind in kinds(graph) if kind != "DEQUANTIZE"] == ["CONV_2D", *packed, "BnnFullyConnected"]
    assert not report.left
    assert report.verification is not None
    assert report.verification.exact is not None
    assert report.verification.exact.equal_samples == 16


def test_computes_what_the_float_model_does() -> None:
    """With weights alone quantized, only the real-valued kernel rounds; here the float model gets the rounded one."""
    source = quantized("weight_only")
    first = read_model(source).graphs[0].find("CONV_2D")[0].input(1)
    integers = first.producer.input(0) if first is not None and first.producer is not None else None
    assert integers is not None
    scale = np.asarray(integers.record.quantization.scale, np.float32).reshape(-1, 1, 1, 1)
    model = read_model(network())
    (graph,) = model.graphs
    graph.set_input(graph.find("CONV_2D")[0], 1, graph.add_constant("rounded", integers.values * scale))
    plain, packed = (runtime.Interpreter(convert(content).model) for content in (write_model(model), source))
    expected = plain.predict(SAMPLES)
    np.testing.assert_allclose(packed.predict(SAMPLES), expected, rtol=1e-5, atol=1e-5)
    assert len(np.unique(expected)) > 50
