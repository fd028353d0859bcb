"""How bits flow: signs that move, ops that work on bits, packed outputs, shared bits."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import (
    RELU,
    RELU6,
    SAME,
    VALID,
    FloatGraph,
    kinds,
    only,
    random_input,
    refusals,
    rewrite_and_compare,
)

from keras_bnn.converter.bits import unpack_signs
from keras_bnn.converter.thresholds import ALWAYS_NEGATIVE, ALWAYS_POSITIVE


class TestMaxPool:
    """Max-pool before and behind a sign."""

    @pytest.mark.parametrize("padding", [SAME, VALID])
    @pytest.mark.parametrize("sign_first", [True, False])
    def test_works_on_bits(self, sign_first: bool, padding: int) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 9, 8, 35))
        y = graph.conv(graph.sign(x), graph.kernel((40, 2, 3, 35)), graph.bias(40))
        window, stride = (3, 2), (2, 3)
        if sign_first:
            y = graph.pool(graph.sign(y), window, stride=stride, padding=padding)
        else:
            y = graph.sign(graph.pool(y, window, stride=stride, padding=padding))
        y = graph.conv(y, graph.kernel((5, 2, 2, 40)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnMaxPool2D", "BnnConv2D"]
        assert only(packed, "BnnMaxPool2D").options == {
            "window_h": 3,
            "window_w": 2,
            "stride_h": 2,
            "stride_w": 3,
            "padding": padding,
        }

    def test_float_value_survives_for_other_users(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 8, 8, 9))
        pooled = graph.pool(graph.conv(graph.sign(x), graph.kernel((4, 3, 3, 9))))
        y = graph.conv(graph.sign(pooled), graph.kernel((5, 2, 2, 4)))
        packed = rewrite_and_compare(graph.finish(y, graph.scale(pooled, 2.0)), random_input(x.dims))
        assert kinds(packed).count("MAX_POOL_2D") == 1
        assert "BnnMaxPool2D" not in kinds(packed)

    @pytest.mark.parametrize("sign_first", [True, False])
    def test_fused_activation_is_refused(self, sign_first: bool) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 8, 8, 9))
        y = graph.pool(graph.sign(x) if sign_first else x)
        assert y.producer is not None
        y.producer.options.fusedActivationFunction = RELU
        y = graph.conv(y if sign_first else graph.sign(y), graph.kernel((4, 3, 3, 9)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert "MAX_POOL_2D" in kinds(packed)
        kind = "MAX_POOL_2D" if sign_first else "BnnQuantize"
        assert "fused activation" in refusals(packed)[kind].reason

    def test_fused_activation_between_two_signs(self) -> None:
        """ReLU makes 0 of -1, and the sign of 0 is +1."""
        graph = FloatGraph()
        x = graph.add_input("x", (2, 8, 8, 9))
        pooled = graph.pool(graph.sign(x))
        assert pooled.producer is not None
        pooled.producer.options.fusedActivationFunction = RELU
        y = graph.conv(graph.sign(pooled), graph.kernel((4, 2, 2, 9)))
        rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)

    def test_two_signs_of_one_pool_share_the_bits(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 8, 8, 9))
        pooled = graph.pool(graph.conv(graph.sign(x), graph.kernel((4, 3, 3, 9))))
        outputs = [graph.conv(graph.sign(pooled), graph.kernel((5, size, size, 4))) for size in (1, 2)]
        packed = rewrite_and_compare(graph.finish(*outputs), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnMaxPool2D", "BnnConv2D", "BnnConv2D"]


class TestFlatten:
    """Flatten between a convolution and a dense layer."""

    @pytest.mark.parametrize("channels", [1, 32, 40, 64])
    @pytest.mark.parametrize("sign_first", [True, False])
    @pytest.mark.parametrize("as_chain", [True, False])
    def test_is_dropped(self, channels: int, sign_first: bool, as_chain: bool) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 5, 4, 3))
        y = graph.conv(x, graph.kernel((channels, 2, 2, 3)), graph.bias(channels))
        y = graph.sign(y) if sign_first else y
        y = graph.flatten(y) if as_chain else graph.reshape(y, (-1, 12 * channels))
        y = y if sign_first else graph.sign(y)
        y = graph.dense(y, graph.kernel((6, 12 * channels)), graph.bias(6))
        y = graph.dense(graph.sign(y), graph.kernel((3, 6)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnConv2D", "BnnFullyConnected", "BnnFullyConnected"]
        dense = packed.find("BnnFullyConnected")[0]
        weights = dense.input(1)
        assert weights is not None
        words = -(-channels // 32)
        assert weights.dims == (6, 12 * words)
        assert dense.options["channels_in"] == 12 * channels
        pixels = unpack_signs(weights.values.reshape(6, 12, words), 32 * words)
        assert not pixels[..., channels:].any(), "unused bits of the weights must be 0"

    def test_of_a_real_valued_input(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 5, 4, 3))
        packed = rewrite_and_compare(
            graph.finish(graph.dense(graph.flatten(x), graph.kernel((6, 60)))), random_input(x.dims)
        )
        assert kinds(packed) == ["BnnFullyConnected"]

    def test_of_one_pixel_keeps_the_reshape(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 2, 2, 3))
        y = graph.flatten(graph.sign(graph.conv(x, graph.kernel((40, 2, 2, 3)))))
        packed = rewrite_and_compare(graph.finish(graph.dense(y, graph.kernel((6, 40)))), random_input(x.dims))
        assert kinds(packed) == ["BnnConv2D", "RESHAPE", "BnnFullyConnected"]
        assert only(packed, "RESHAPE").output.dims == (-1, 2)

    def test_behind_a_pool(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 7, 7, 9))
        y = graph.conv(graph.sign(x), graph.kernel((40, 2, 2, 9)), graph.bias(40))
        y = graph.sign(graph.flatten(graph.pool(y)))
        packed = rewrite_and_compare(graph.finish(graph.dense(y, graph.kernel((6, 360)))), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnMaxPool2D", "BnnFullyConnected"]

    def test_several_dense_layers(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 5, 4, 40))
        y = graph.flatten(graph.sign(x))
        outputs = [graph.dense(y, graph.kernel((units, 800))) for units in (3, 5)]
        packed = rewrite_and_compare(graph.finish(*outputs), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected", "BnnFullyConnected"]

    def test_float_user_keeps_the_float_flatten(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 5, 4, 40))
        y = graph.reshape(graph.sign(x), (-1, 800))
        outputs = [graph.dense(y, graph.kernel((3, 800))), graph.scale(y, 2.0)]
        packed = rewrite_and_compare(graph.finish(*outputs), random_input(x.dims))
        assert sorted(kinds(packed)) == ["BnnDequantize", "BnnFullyConnected", "BnnQuantize", "MUL", "RESHAPE"]


class TestReshape:
    """Reshapes that are no flatten."""

    @pytest.mark.parametrize("sign_first", [True, False])
    @pytest.mark.parametrize(
        ("before", "after"),
        [((-1, 4, 6, 37), (-1, 8, 3, 37)), ((-1, 4, 6, 64), (-1, 2, 24, 32)), ((-1, 24, 37), (-1, 6, 4, 37))],
    )
    def test_bits_are_reshaped(self, before: tuple[int, ...], after: tuple[int, ...], sign_first: bool) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", before)
        y = graph.reshape(graph.sign(x), after) if sign_first else graph.sign(graph.reshape(x, after))
        y = graph.conv(y, graph.kernel((5, 2, 2, after[-1])))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "RESHAPE", "BnnConv2D"]

    def test_split_words_are_refused(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 4, 6, 40))
        y = graph.conv(graph.reshape(graph.sign(x), (-1, 4, 12, 20)), graph.kernel((5, 2, 2, 20)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnDequantize", "RESHAPE", "BnnConv2D"]
        assert "40 channels" in refusals(packed)["RESHAPE"].reason
        assert "RESHAPE between its sign and itself" in refusals(packed)["BnnConv2D"].reason

    def test_sign_behind_a_reshape_that_splits_words_stays_there(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 4, 6, 40))
        y = graph.conv(graph.sign(graph.reshape(x, (-1, 4, 12, 20))), graph.kernel((5, 2, 2, 20)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["RESHAPE", "BnnQuantize", "BnnConv2D"]

    def test_expand_dims_and_squeeze(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 9, 37))
        y = graph.op("EXPAND_DIMS", [graph.sign(x), graph.integers(1)], (-1, 1, 9, 37), schema.ExpandDimsOptionsT())
        y = graph.conv(y, graph.kernel((40, 1, 3, 37)))
        options = schema.SqueezeOptionsT()
        options.squeezeDims = [1]
        y = graph.op("SQUEEZE", [graph.sign(y)], (-1, 7, 40), options)
        y = graph.op("EXPAND_DIMS", [y, graph.integers(-3)], (-1, 1, 7, 40), schema.ExpandDimsOptionsT())
        y = graph.conv(y, graph.kernel((3, 1, 3, 40)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert [kind for kind in kinds(packed) if kind.startswith("Bnn")] == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]
        assert all(op.output.type_name == "int32" for op in packed.ops[:-1])

    @pytest.mark.parametrize("sign_first", [True, False])
    def test_squeeze_of_all_dimensions(self, sign_first: bool) -> None:
        """It would take the dimension of a single word too."""
        graph = FloatGraph()
        x = graph.add_input("x", (3, 1, 32))
        options = schema.SqueezeOptionsT()
        options.squeezeDims = []
        squeezed = graph.op("SQUEEZE", [graph.sign(x) if sign_first else x], (3, 32), options)
        y = graph.dense(squeezed if sign_first else graph.sign(squeezed), graph.kernel((5, 32)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert kinds(packed) == ["BnnQuantize", "RESHAPE", "BnnFullyConnected"]


class TestEmitBits:
    """Thresholds, and packed outputs of first layers."""

    def test_thresholds_and_flipped_weights(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 5, 40))
        weights = graph.kernel((6, 2, 2, 40), 1.0)
        multiplier, bias = [1, -1, 0, 0, 2, -0.5], [0, 0, 1, -1, 1e6, 8]
        y = graph.shift(graph.scale(graph.conv(graph.sign(x), weights), multiplier), bias)
        y = graph.conv(graph.sign(y), graph.kernel((3, 1, 1, 6)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        op = packed.find("BnnConv2D")[0]
        _, packed_weights, thresholds = (tensor for tensor in op.inputs if tensor is not None)
        assert thresholds.values.tolist() == [0, 0, ALWAYS_POSITIVE, ALWAYS_NEGATIVE, ALWAYS_POSITIVE, -16]
        flipped = np.where(np.array(multiplier) < 0, -1, 1).reshape(6, 1, 1, 1)
        np.testing.assert_array_equal(unpack_signs(packed_weights.values, 40), weights * flipped < 0)
        assert not unpack_signs(packed_weights.values, 64)[..., 40:].any()

    @pytest.mark.parametrize("negative", [True, False])
    def test_activations_are_in_the_threshold(self, negative: bool) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (3, 45))
        y = graph.dense(graph.sign(x), graph.kernel((40, 45), 1.0), activation=RELU6)
        y = graph.scale(y, (-1 if negative else 1) * np.abs(graph.bias(40)))
        y = graph.shift(y, graph.bias(40))
        packed = rewrite_and_compare(
            graph.finish(graph.dense(graph.sign(y), graph.kernel((3, 40)))), random_input(x.dims)
        )
        op = packed.find("BnnFullyConnected")[0]
        assert (op.options["activation"], op.options["pre_activation"], len(op.inputs)) == (0, 0, 3)

    def test_first_layer_keeps_multiplier_and_bias(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 5, 3))
        y = graph.conv(x, graph.kernel((6, 2, 2, 3)), graph.bias(6), activation=RELU)
        packed = rewrite_and_compare(
            graph.finish(graph.conv(graph.sign(y), graph.kernel((3, 1, 1, 6)))), random_input(x.dims)
        )
        op = packed.find("BnnConv2D")[0]
        assert (op.output.type_name, len(op.inputs), op.options["activation"]) == ("int32", 4, RELU)

    def test_float_user_keeps_the_float_output(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 5, 8))
        y = graph.conv(graph.sign(x), graph.kernel((6, 2, 2, 8)), graph.bias(6))
        outputs = [graph.conv(graph.sign(y), graph.kernel((3, 1, 1, 6))), graph.scale(y, 2.0)]
        packed = rewrite_and_compare(graph.finish(*outputs), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D", "MUL"]
        assert [tensor.type_name for tensor in packed.find("BnnConv2D")[0].outputs] == ["float32", "int32"]

    @pytest.mark.parametrize("behind", ["MUL", "ADD", "RESHAPE", "MAX_POOL_2D"])
    def test_what_stands_behind_the_float_output_changes_no_bit(self, behind: str) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 6, 6, 9))
        y = graph.conv(graph.sign(x), graph.kernel((7, 3, 3, 9), 1.0), padding=SAME)
        z = graph.conv(graph.sign(y), graph.kernel((5, 3, 3, 7)))
        values = np.arange(-3, 4).astype(np.float32)
        if behind == "RESHAPE":
            y = graph.reshape(y, (2, 36, 7))
        elif behind == "MAX_POOL_2D":
            y = graph.pool(y)
        y = graph.shift(y, values) if behind in ("ADD", "MAX_POOL_2D") else graph.scale(y, values)
        packed = rewrite_and_compare(graph.finish(z, y), random_input(x.dims), numpy_reference=False)
        assert [len(op.outputs) for op in packed.find("BnnConv2D")] == [2, 1]

    def test_output_tensor_keeps_the_float_value(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 5, 8))
        y = graph.conv(graph.sign(x), graph.kernel((6, 2, 2, 8)), graph.bias(6))
        z = graph.conv(graph.sign(y), graph.kernel((3, 1, 1, 6)))
        packed = rewrite_and_compare(graph.finish(y, z), random_input(x.dims))
        assert packed.outputs[0].type_name == "float32"
        assert packed.outputs[0].name == y.name
