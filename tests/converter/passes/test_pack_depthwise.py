"""Depthwise and transposed convolutions, whose packed ops read signs alone."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import (
    NONE,
    RELU,
    SAME,
    VALID,
    FloatGraph,
    kinds,
    only,
    random_input,
    refusals,
    rewrite_and_compare,
)

from keras_bnn.converter.bits import pack_signs
from keras_bnn.converter.custom_ops import EXPLICIT
from keras_bnn.converter.graph import Tensor


def _depthwise(
    graph: FloatGraph,
    x: Tensor,
    weights: np.ndarray,
    *,
    stride: int = 1,
    dilation: tuple[int, int] = (1, 1),
    padding: int = VALID,
    activation: int = NONE,
) -> Tensor:
    """Adds DEPTHWISE_CONV_2D; weights are [O, kh, kw]."""
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, activation
    options.strideH = options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.depthMultiplier = len(weights) // x.dims[3]
    size = []
    for axis in (0, 1):
        length, reach = x.dims[1 + axis], (weights.shape[1 + axis] - 1) * dilation[axis] + 1
        size.append(-(-length // stride) if padding == SAME else (length - reach) // stride + 1)
    inputs = [x, graph.constant(np.moveaxis(weights, 0, -1)[None]), graph.constant(graph.bias(len(weights)))]
    return graph.op("DEPTHWISE_CONV_2D", inputs, (x.dims[0], *size, len(weights)), options)


def _transposed(
    graph: FloatGraph,
    x: Tensor,
    weights: np.ndarray,
    size: tuple[int, int],
    *,
    stride: tuple[int, int] = (2, 2),
    padding: int = SAME,
    bias: bool = True,
) -> Tensor:
    """Adds TRANSPOSE_CONV; weights are [O, kh, kw, I]."""
    options = schema.TransposeConvOptionsT()
    options.padding, (options.strideH, options.strideW) = padding, stride
    dims = (x.dims[0], *size, len(weights))
    inputs = [graph.integers(dims), graph.constant(weights), x]
    inputs += [graph.constant(graph.bias(len(weights)))] if bias else []
    y = graph.op("TRANSPOSE_CONV", inputs, dims, options)
    assert y.producer is not None
    y.producer.version = 3 if bias else 1  # bias came with 3
    return y


class TestDepthwise:
    """DEPTHWISE_CONV_2D."""

    @pytest.mark.parametrize("multiplier", [1, 3])
    @pytest.mark.parametrize(("padding", "stride"), [(SAME, 1), (SAME, 2), (VALID, 1)])
    @pytest.mark.parametrize("activation", [NONE, RELU])
    def test_options(self, padding: int, stride: int, multiplier: int, activation: int) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 35))
        weights = graph.kernel((35 * multiplier, 3, 2))
        y = _depthwise(graph, graph.sign(x), weights, padding=padding, stride=stride, activation=activation)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnDepthwiseConv2D"]
        op = only(packed, "BnnDepthwiseConv2D")
        assert (op.options["channels_in"], op.options["stride_h"], op.options["padding"]) == (35, stride, padding)
        assert op.options["activation"] == activation
        kept = op.input(1)
        assert kept is not None
        np.testing.assert_array_equal(kept.values, pack_signs(np.moveaxis(weights < 0, 0, -1)))

    def test_bits_flow_through(self) -> None:
        """A separable convolution, with negative scales that turn thresholds."""
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 35))
        y = _depthwise(graph, graph.sign(x), graph.kernel((35, 3, 3), 1.0), padding=SAME)
        y = graph.sign(graph.shift(graph.scale(y, graph.bias(35)), graph.bias(35)))
        packed = rewrite_and_compare(graph.finish(graph.conv(y, graph.kernel((8, 1, 1, 35)))), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnDepthwiseConv2D", "BnnConv2D"]

    @pytest.mark.parametrize("value", [None, 1.0, -1.0])
    def test_padding_is_folded(self, value: float | None) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 5))
        padded = graph.pad(graph.sign(x), [(0, 0), (2, 1), (0, 1), (0, 0)], value)
        y = _depthwise(graph, padded, graph.kernel((10, 3, 2)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnDepthwiseConv2D"]
        options = only(packed, "BnnDepthwiseConv2D").options
        assert (options["padding"], options["pad_top"], options["pad_value"]) == (EXPLICIT, 2, int(value or 0))

    def test_pool_in_front_is_lowered(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 8, 8, 5))
        y = _depthwise(graph, graph.pool(graph.sign(x)), graph.kernel((5, 3, 2)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnMaxPool2D", "BnnDepthwiseConv2D"]

    def test_dilation_options(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 8, 8, 5))
        y = _depthwise(graph, graph.sign(x), graph.kernel((5, 3, 2)), dilation=(2, 3), padding=SAME)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        options = only(packed, "BnnDepthwiseConv2D").options
        assert (options["dilation_h"], options["dilation_w"]) == (2, 3)

    @pytest.mark.parametrize("padded", [False, True])
    def test_dilation_as_space_to_batch(self, padded: bool) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 9, 9, 5))
        signs = graph.sign(x)
        signs = graph.pad(signs, [(0, 0), (2, 2), (2, 2), (0, 0)], 1.0) if padded else signs
        height = signs.dims[1] + (1 if padded else 5)
        pads = [[0, 1], [0, 1]] if padded else [[2, 3], [2, 3]]
        split = graph.op(
            "SPACE_TO_BATCH_ND",
            [signs, graph.integers([2, 2]), graph.integers(pads)],
            (-1, height // 2, height // 2, 5),
            schema.SpaceToBatchNDOptionsT(),
        )
        y = _depthwise(graph, split, graph.kernel((5, 3, 3)))
        y = graph.op(
            "BATCH_TO_SPACE_ND",
            [y, graph.integers([2, 2]), graph.integers([[0, 1], [0, 1]])],
            (-1, 9, 9, 5),
            schema.BatchToSpaceNDOptionsT(),
        )
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnDepthwiseConv2D"]
        options = only(packed, "BnnDepthwiseConv2D").options
        assert (options["dilation_h"], options["padding"], options["pad_value"]) == (2, SAME, int(padded))

    @pytest.mark.parametrize("case", ["real input", "padding by 2", "shape"])
    def test_what_reads_other_numbers_is_refused(self, case: str) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 5))
        source = x if case == "real input" else graph.sign(x)
        if case == "padding by 2":
            source = graph.pad(source, [(0, 0), (1, 1), (1, 1), (0, 0)], 2.0)
        if case == "shape":
            source = graph.reshape(source, (2, 6, 7, 5))
            source = graph.pad(source, [(0, 0), (1, 1), (1, 1), (0, 1)], 1.0)
        y = _depthwise(graph, source, graph.kernel((source.dims[3], 3, 2)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert "DEPTHWISE_CONV_2D" in kinds(packed)
        assert "does not read signs alone" in refusals(packed)["DEPTHWISE_CONV_2D"].reason


class TestTranspose:
    """TRANSPOSE_CONV."""

    @pytest.mark.parametrize(
        ("stride", "padding", "size", "pads"),
        [
            ((2, 2), SAME, (10, 8), (0, 1, 0, 0)),
            ((1, 1), SAME, (5, 4), (1, 1, 0, 1)),
            ((2, 3), VALID, (11, 11), (0, 0, 0, 0)),
            ((3, 2), VALID, (16, 9), (0, -1, 0, -1)),  # pixels that no tap reaches
            ((3, 3), SAME, (15, 12), (0, 0, 0, -1)),
        ],
    )
    @pytest.mark.parametrize("bias", [False, True])
    def test_options(
        self, stride: tuple[int, int], padding: int, size: tuple[int, int], pads: tuple[int, ...], bias: bool
    ) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 4, 35))
        weights = graph.kernel((6, 3, 2, 35))
        y = _transposed(graph, graph.sign(x), weights, size, stride=stride, padding=padding, bias=bias)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnTransposeConv2D"]
        op = only(packed, "BnnTransposeConv2D")
        assert tuple(op.options[f"pad_{side}"] for side in ("top", "bottom", "left", "right")) == pads
        kept = op.input(1)
        assert kept is not None
        np.testing.assert_array_equal(kept.values, pack_signs(weights < 0))

    def test_bits_flow_through(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 4, 35))
        y = _transposed(graph, graph.sign(x), graph.kernel((40, 3, 3, 35), 1.0), (10, 8), bias=False)
        y = graph.sign(graph.shift(graph.scale(y, graph.bias(40)), graph.bias(40)))
        packed = rewrite_and_compare(graph.finish(graph.conv(y, graph.kernel((8, 1, 1, 40)))), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnTransposeConv2D", "BnnConv2D"]

    @pytest.mark.parametrize("case", ["real input", "unknown size", "beyond the kernel", "cut off"])
    def test_refusals(self, case: str) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 4, 3))
        source = x if case == "real input" else graph.sign(x)
        if case in ("beyond the kernel", "cut off"):
            size = (13, 9) if case == "beyond the kernel" else (9, 6)
            y = _transposed(graph, source, graph.kernel((6, 3, 2, 3)), size, padding=VALID)
        else:
            y = _transposed(graph, source, graph.kernel((6, 3, 2, 3)), (10, 8))
        if case == "unknown size":
            y.record.shapeSignature = [2, -1, -1, 6]
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert "TRANSPOSE_CONV" in kinds(packed)
        assert ("BnnQuantize" in kinds(packed)) == (case in ("beyond the kernel", "cut off"))
        reason = {
            "real input": "signs alone",
            "unknown size": "not known",
            "beyond the kernel": "behind the last pixel",
            "cut off": "cut off",
        }
        assert reason[case] in refusals(packed)["TRANSPOSE_CONV"].reason


def test_conv_3d_is_refused() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 3, 4, 4, 5))
    options = schema.Conv3DOptionsT()
    options.padding, options.strideD, options.strideH, options.strideW = VALID, 1, 1, 1
    options.dilationDFactor = options.dilationHFactor = options.dilationWFactor = 1
    kernel = np.moveaxis(graph.kernel((6, 2, 2, 2, 5)), 0, -1)
    y = graph.op("CONV_3D", [graph.sign(x), graph.constant(kernel)], (1, 2, 3, 3, 6), options)
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert kinds(packed) == ["LESS", "SELECT_V2", "CONV_3D"]
    assert "CONV_3D has no packed op" in refusals(packed)["CONV_3D"].reason
