"""What is folded into a packed op: dilation, padding, batch normalization, the reshapes around a dense op."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import (
    RELU,
    RELU6,
    FloatGraph,
    kinds,
    only,
    random_input,
    refusals,
    rewrite,
    rewrite_and_compare,
)

from keras_bnn.converter.custom_ops import EXPLICIT, MUL, SAME, VALID, steps_of
from keras_bnn.converter.graph import Tensor

PADS = ("pad_top", "pad_bottom", "pad_left", "pad_right")


def _image_pads(rows: tuple[int, int], columns: tuple[int, int]) -> list[tuple[int, int]]:
    return [(0, 0), rows, columns, (0, 0)]


class TestFoldPadding:
    """PAD and PADV2 before a convolution."""

    @pytest.mark.parametrize("value", [None, 0.0, 1.0, -1.0])
    @pytest.mark.parametrize(
        ("rows", "columns", "stride", "padding"),
        [
            ((1, 1), (0, 1), (1, 1), SAME),  # what SAME pads for a kernel of 3 x 2
            ((1, 1), (0, 1), (2, 1), EXPLICIT),  # equal to SAME at this size only
            ((2, 0), (3, 1), (1, 1), EXPLICIT),
            ((0, 0), (0, 0), (1, 1), VALID),
        ],
    )
    def test_amounts_and_values(
        self,
        value: float | None,
        rows: tuple[int, int],
        columns: tuple[int, int],
        stride: tuple[int, int],
        padding: int,
    ) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 35))
        padded = graph.pad(graph.sign(x), _image_pads(rows, columns), value)
        y = graph.conv(padded, graph.kernel((4, 3, 2, 35)), graph.bias(4), stride=stride)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
        options = only(packed, "BnnConv2D").options
        assert (options["padding"], options["pad_value"]) == (padding, int(value or 0))
        assert tuple(options[name] for name in PADS) == ((*rows, *columns) if padding == EXPLICIT else (0, 0, 0, 0))

    @pytest.mark.parametrize("value", [None, 1.0])
    def test_real_valued_input(self, value: float | None) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 3))
        y = graph.conv(graph.pad(x, _image_pads((1, 0), (0, 2)), value), graph.kernel((4, 2, 2, 3)))
        assert kinds(rewrite_and_compare(graph.finish(y), random_input(x.dims))) == ["BnnConv2D"]

    @pytest.mark.parametrize("value", [None, 0.0, -0.5, 2.0])
    def test_padding_in_front_of_the_sign(self, value: float | None) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 3))
        padded = graph.pad(x, _image_pads((1, 1), (1, 1)), value)
        packed = rewrite_and_compare(
            graph.finish(graph.conv(graph.sign(padded), graph.kernel((4, 3, 3, 3)))), random_input(x.dims)
        )
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
        assert only(packed, "BnnConv2D").options["pad_value"] == (-1 if value is not None and value < 0 else 1)

    def test_padding_that_others_read_stays_for_them(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 3))
        padded = graph.pad(graph.sign(x), _image_pads((1, 1), (1, 1)), 1.0)
        y = graph.conv(padded, graph.kernel((4, 3, 3, 3)))
        packed = rewrite_and_compare(graph.finish(y, padded), random_input(x.dims), numpy_reference=False)
        assert sorted(kinds(packed)) == ["BnnConv2D", "BnnDequantize", "BnnQuantize", "PADV2"]

    @pytest.mark.parametrize(
        ("amounts", "value", "reason"),
        [
            (_image_pads((1, 1), (1, 1)), 0.5, "pads with 0.5"),
            ([(0, 0), (1, 1), (1, 1), (0, 2)], 1.0, "more than height and width"),
        ],
    )
    def test_refusals(self, amounts: list[tuple[int, int]], value: float, reason: str) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 6, 3))
        padded = graph.pad(graph.sign(x), amounts, value)
        y = graph.conv(padded, graph.kernel((4, 3, 3, padded.dims[3])))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert only(packed, "BnnConv2D").input(0) is only(packed, "PADV2").output
        assert reason in refusals(packed)["BnnConv2D"].reason


class TestFoldDilation:
    """SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND around a convolution."""

    def _dilated(
        self, graph: FloatGraph, x: Tensor, pads: list[list[int]], crops: list[list[int]], weights: np.ndarray
    ) -> Tensor:
        height, width = ((x.dims[1 + axis] + sum(pads[axis])) // 2 for axis in (0, 1))
        split = graph.op(
            "SPACE_TO_BATCH_ND",
            [x, graph.integers([2, 2]), graph.integers(pads)],
            (-1, height, width, x.dims[3]),
            schema.SpaceToBatchNDOptionsT(),
        )
        y = graph.conv(split, weights)
        size = [2 * y.dims[1 + axis] - sum(crops[axis]) for axis in (0, 1)]
        options = schema.BatchToSpaceNDOptionsT()
        return graph.op(
            "BATCH_TO_SPACE_ND",
            [y, graph.integers([2, 2]), graph.integers(crops)],
            (-1, *size, len(weights)),
            options,
        )

    @pytest.mark.parametrize(
        ("pads", "crops", "padding", "explicit"),
        [
            ([[2, 3], [2, 2]], [[0, 1], [0, 0]], SAME, (0, 0, 0, 0)),
            ([[0, 1], [0, 0]], [[0, 1], [0, 0]], VALID, (0, 0, 0, 0)),
            ([[3, 0], [1, 3]], [[1, 0], [0, 2]], EXPLICIT, (2, 0, 1, 1)),
        ],
    )
    def test_padding_and_crops(
        self, pads: list[list[int]], crops: list[list[int]], padding: int, explicit: tuple[int, ...]
    ) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 9, 8, 5))
        y = self._dilated(graph, graph.sign(x), pads, crops, graph.kernel((4, 3, 3, 5), 1.0))
        y = graph.shift(graph.scale(y, graph.bias(4)), graph.bias(4))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
        options = only(packed, "BnnConv2D").options
        assert (options["dilation_h"], options["dilation_w"], options["padding"]) == (2, 2, padding)
        assert tuple(options[name] for name in PADS) == explicit

    def test_padding_by_one_before_it(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 9, 8, 5))
        padded = graph.pad(graph.sign(x), _image_pads((2, 2), (2, 2)), 1.0)
        y = self._dilated(graph, padded, [[0, 1], [0, 0]], [[0, 1], [0, 0]], graph.kernel((4, 3, 3, 5)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        options = only(packed, "BnnConv2D").options
        assert (options["dilation_h"], options["padding"], options["pad_value"]) == (2, SAME, 1)

    def test_shortcut_of_interleaved_images_stays_between(self) -> None:
        graph = FloatGraph()
        x, shortcut = graph.add_input("x", (1, 8, 8, 9)), graph.add_input("shortcut", (4, 2, 2, 5))
        block, crops = graph.integers([2, 2]), graph.integers([[0, 0], [0, 0]])
        split = [graph.sign(x), block, crops]
        y = graph.op("SPACE_TO_BATCH_ND", split, (4, 4, 4, 9), schema.SpaceToBatchNDOptionsT())
        y = graph.conv(y, graph.kernel((5, 3, 3, 9)))
        y = graph.op("ADD", [y, shortcut], y.dims, schema.AddOptionsT())
        y = graph.op("BATCH_TO_SPACE_ND", [y, block, crops], (1, 4, 4, 5), schema.BatchToSpaceNDOptionsT())
        inputs = random_input(x.dims), random_input(shortcut.dims, seed=2)
        packed = rewrite_and_compare(graph.finish(y), *inputs, numpy_reference=False)
        assert "BATCH_TO_SPACE_ND" in kinds(packed)

    def test_more_crops_than_padding_are_refused(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 9, 8, 5))
        y = self._dilated(graph, graph.sign(x), [[0, 1], [0, 0]], [[1, 0], [0, 0]], graph.kernel((4, 3, 3, 5)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert "SPACE_TO_BATCH_ND" in kinds(packed)
        assert "crops more" in refusals(packed)["BATCH_TO_SPACE_ND"].reason


class TestFoldScale:
    """MUL and ADD behind a packed op."""

    def test_multiplier_and_bias(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 6, 9))
        multiplier, bias = graph.bias(4), graph.bias(4)
        y = graph.conv(graph.sign(x), graph.kernel((4, 3, 3, 9), 1.0))
        y = graph.shift(graph.scale(y, multiplier), bias.reshape(1, 1, 1, 4), activation=RELU6)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
        op = only(packed, "BnnConv2D")
        assert (op.options["activation"], op.options["pre_activation"]) == (RELU6, 0)
        for tensor, values in zip(op.inputs[2:], (multiplier, bias), strict=True):
            assert tensor is not None
            np.testing.assert_array_equal(tensor.values, values)

    def test_activation_before_batch_normalization(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 9))
        y = graph.dense(graph.sign(x), graph.kernel((4, 9), 1.0), activation=RELU)
        y = graph.shift(graph.scale(y, graph.bias(4)), graph.bias(4))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert only(packed, "BnnFullyConnected").options["pre_activation"] == RELU
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected"]

    def test_scalar_constants(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 9))
        y = graph.shift(graph.scale(graph.dense(graph.sign(x), graph.kernel((4, 9), 1.0)), -0.5), 2.0)
        assert kinds(rewrite_and_compare(graph.finish(y), random_input(x.dims))) == ["BnnQuantize", "BnnFullyConnected"]

    def test_an_activation_that_is_none_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 9))
        y = graph.dense(graph.sign(x), graph.kernel((4, 9), 1.0))
        packed = rewrite(graph.finish(graph.scale(y, graph.bias(4), activation=-1)))[1]
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected", "MUL"]

    @pytest.mark.parametrize("case", ["scaled", "biased", "activated twice", "two users", "per pixel", "is an output"])
    def test_what_would_round_otherwise_is_a_step_or_stays(self, case: str) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 6, 9))
        weights = graph.kernel((4, 3, 3, 9), 0.5 if case == "scaled" else 1.0)
        y = graph.conv(
            graph.sign(x),
            weights,
            np.ones(4, np.float32) if case == "biased" else None,
            activation=RELU if case == "activated twice" else 0,
        )
        values = graph.bias(3 * 4 * 4).reshape(3, 4, 4) if case == "per pixel" else graph.bias(4)
        outputs = [graph.scale(y, values, activation=RELU6 if case == "activated twice" else 0)]
        if case == "activated twice":
            outputs = [graph.scale(outputs[0], graph.bias(4))]
        elif case == "two users":
            outputs.append(graph.op("NEG", [y], y.dims, schema.NegOptionsT()))
        elif case == "is an output":
            outputs.append(y)
        packed = rewrite_and_compare(graph.finish(*outputs), random_input(x.dims), numpy_reference=False)
        folds_as_step = case in ("scaled", "biased", "activated twice")
        assert kinds(packed).count("MUL") == (0 if folds_as_step else 1)
        assert steps_of(only(packed, "BnnConv2D").options) == ((MUL,) if folds_as_step else ())


class TestRaiseScale:
    """Batch normalization behind a max-pool."""

    def _network(self, graph: FloatGraph, x: Tensor, multiplier: np.ndarray, *, activation: int = 0) -> Tensor:
        y = graph.pool(graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 9), 1.0)), (3, 2), stride=(2, 1), padding=0)
        return graph.shift(graph.scale(y, multiplier), graph.bias(40), activation=activation)

    @pytest.mark.parametrize("activation", [0, RELU])
    def test_moves_in_front(self, activation: int) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 7, 8, 9))
        multiplier = np.abs(graph.bias(40))
        assert (multiplier == 0).any()
        y = self._network(graph, x, multiplier, activation=activation)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "MAX_POOL_2D"]

    def test_bits_flow_then(self) -> None:
        """The order of the BNN paper's networks: convolution, max-pool, batch normalization, sign."""
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 7, 8, 9))
        y = self._network(graph, x, np.abs(graph.bias(40)))
        y = graph.conv(graph.sign(y), graph.kernel((5, 2, 2, 40)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnMaxPool2D", "BnnConv2D"]

    def test_negative_factor_is_refused_with_a_remedy(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 8, 9))
        multiplier = np.abs(graph.bias(40))
        multiplier[3] = -0.125
        packed = rewrite_and_compare(graph.finish(self._network(graph, x, multiplier)), random_input(x.dims))
        assert kinds(packed)[2:] == ["MAX_POOL_2D", "MUL", "ADD"]
        assert "1 of its 40 factors are negative" in refusals(packed)["MUL"].reason
        assert "behind BatchNormalization" in refusals(packed)["MUL"].remedy

    def test_what_could_not_be_folded_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 8, 9))
        y = graph.pool(graph.conv(graph.sign(x), graph.kernel((4, 3, 3, 9)), np.ones(4, np.float32)))
        packed = rewrite_and_compare(graph.finish(graph.scale(y, 2.0)), random_input(x.dims))
        assert kinds(packed)[2:] == ["MAX_POOL_2D", "MUL"]

    def test_pool_with_another_user_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 7, 8, 9))
        y = graph.pool(graph.conv(graph.sign(x), graph.kernel((4, 3, 3, 9), 1.0)))
        packed = rewrite_and_compare(graph.finish(graph.scale(y, 2.0), y), random_input(x.dims))
        assert kinds(packed)[2:] == ["MAX_POOL_2D", "MUL"]


class TestKeepRank:
    """RESHAPE, FULLY_CONNECTED, RESHAPE."""

    def _dense(self, graph: FloatGraph, x: Tensor, units: int, restored: tuple[int, ...]) -> Tensor:
        weights = graph.kernel((units, x.dims[-1]))
        return graph.reshape(graph.dense(graph.reshape(x, (-1, x.dims[-1])), weights), restored)

    def test_leading_dimensions(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 4, 3, 37))
        y = self._dense(graph, graph.sign(x), 6, (-1, 4, 3, 6))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected"]

    def test_real_kernel_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 4, 5))
        weights = graph.rng.normal(size=(6, 5)).astype(np.float32)
        y = graph.reshape(graph.dense(graph.reshape(x, (-1, 5)), weights), (-1, 4, 6))
        assert kinds(rewrite(graph.finish(y))[1]) == ["RESHAPE", "FULLY_CONNECTED", "RESHAPE"]

    def test_other_reshape_behind_it_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 4, 5))
        y = self._dense(graph, graph.sign(x), 6, (-1, 24))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "RESHAPE", "BnnFullyConnected", "RESHAPE"]


class TestDropReshape:
    """Conv1D behind Conv1D, as TensorFlow writes them."""

    def _conv_1d(self, graph: FloatGraph, x: Tensor, filters: int) -> Tensor:
        batch, length, channels = x.dims
        image = graph.op("EXPAND_DIMS", [x, graph.integers(-3)], (batch, 1, length, channels))
        return graph.conv(image, graph.kernel((filters, 1, 3, channels)), graph.bias(filters))

    @pytest.mark.parametrize("channels", [8, 32, 40])
    @pytest.mark.parametrize("batch", [2, -1])
    def test_between_convolutions(self, channels: int, batch: int) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (batch, 12, 5))
        y = self._conv_1d(graph, graph.sign(x), channels)
        condition = graph.add_tensor("condition", (batch, 10, channels), np.bool_)
        comparison = graph.compare("LESS", y, graph.constant(0.0))
        graph.add_op("RESHAPE", [comparison, graph.integers([batch, 10, channels])], [condition])
        signs = graph.op("SELECT_V2", [condition, graph.constant(-1.0), graph.constant(1.0)], condition.dims)
        y = graph.reshape(self._conv_1d(graph, signs, 6), (batch, 8, 6))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert kinds(packed) == ["BnnQuantize", "EXPAND_DIMS", "BnnConv2D", "BnnConv2D", "RESHAPE"]

    def test_another_shape_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 12, 5))
        signs = graph.reshape(graph.reshape(graph.sign(x), (2, 3, 4, 5)), (2, 2, 6, 5))
        y = graph.conv(signs, graph.kernel((4, 2, 2, 5)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed).count("RESHAPE") == 2


class TestFixReshape:
    """Shapes computed at run time."""

    def test_flatten_between_a_packed_op_and_a_float_op(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 6, 6, 9))
        y = graph.flatten(graph.conv(graph.sign(x), graph.kernel((4, 3, 3, 9))))
        y = graph.dense(y, (graph.rng.integers(-8, 8, (3, 64)) / 8).astype(np.float32))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "RESHAPE", "FULLY_CONNECTED"]

    def test_flatten_away_from_packed_ops_stays(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 4, 4, 3))
        real = graph.rng.normal(size=(5, 48)).astype(np.float32)
        y = graph.dense(graph.sign(graph.dense(graph.flatten(x), real)), graph.kernel((3, 5)))
        assert kinds(rewrite(graph.finish(y))[1])[:4] == ["SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"]
