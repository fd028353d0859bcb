"""The layers as Keras layers: Keras's own test, signatures, configuration, error messages."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.testing import TestCase

from keras_bnn import layers
from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryConv2D, BinaryDense, Quantize
from keras_bnn.quantizers import SteSign, StochasticSign

# The positional arguments that each binary layer needs.
BINARY_LAYERS: dict[str, dict[str, Any]] = {
    "Dense": {"units": 3},
    "Conv1D": {"filters": 3, "kernel_size": 2},
    "Conv2D": {"filters": 3, "kernel_size": 2},
    "Conv3D": {"filters": 3, "kernel_size": 2},
    "DepthwiseConv2D": {"kernel_size": 2},
    "SeparableConv2D": {"filters": 3, "kernel_size": 2},
    "Conv2DTranspose": {"filters": 3, "kernel_size": 2},
}
CHANGED_DEFAULTS = {
    "use_bias": False,
    "kernel_constraint": "weight_clip",
    "depthwise_constraint": "weight_clip",
    "pointwise_constraint": "weight_clip",
}


def binary(name: str, **arguments: Any) -> keras.layers.Layer:
    """The binary layer of a Keras parent's name."""
    return getattr(layers, f"Binary{name}")(**{**BINARY_LAYERS[name], **arguments})


class KerasLayerTest(TestCase):
    """Keras's `run_layer_test`: shapes, dtypes, variables, serialization, a training step, mixed precision."""

    def check(
        self,
        layer: str,
        arguments: dict,
        input_shape: tuple,
        output_shape: tuple,
        variables: int,
        fixed: int = 0,
        seeds: int = 0,
    ) -> None:
        self.run_layer_test(
            getattr(layers, layer),
            arguments,
            input_shape=input_shape,
            expected_output_shape=output_shape,
            expected_num_trainable_weights=variables,
            expected_num_non_trainable_weights=fixed,
            expected_num_seed_generators=seeds,
            expected_num_losses=0,
        )

    def test_dense(self) -> None:
        self.check("BinaryDense", {"units": 5}, (2, 7), (2, 5), 1)

    def test_dense_with_every_option(self) -> None:
        arguments = {"units": 5, "use_bias": True, "activation": "relu", "kernel_quantizer": SteSign(0.5)}
        self.check("BinaryDense", {**arguments, "input_quantizer": None}, (2, 3, 7), (2, 3, 5), 2)

    def test_dense_with_random_signs(self) -> None:
        arguments = {"units": 5, "input_quantizer": StochasticSign(1), "kernel_quantizer": StochasticSign(2)}
        self.check("BinaryDense", arguments, (2, 7), (2, 5), 1, seeds=2)

    def test_conv1d(self) -> None:
        self.check("BinaryConv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, (2, 6, 3), (2, 6, 4), 1)

    def test_conv1d_with_strides_and_padding(self) -> None:
        arguments = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "pad_value": 1, "use_bias": True}
        self.check("BinaryConv1D", arguments, (2, 6, 3), (2, 3, 4), 2)

    def test_conv2d(self) -> None:
        self.check("BinaryConv2D", {"filters": 4, "kernel_size": 3}, (2, 6, 5, 3), (2, 4, 3, 4), 1)

    def test_conv2d_with_strides_and_padding(self) -> None:
        arguments = {
            "filters": 4,
            "kernel_size": (3, 2),
            "strides": 2,
            "padding": "same",
            "pad_value": 1,
            "use_bias": True,
        }
        self.check("BinaryConv2D", arguments, (2, 6, 5, 3), (2, 3, 3, 4), 2)

    def test_conv2d_with_dilation(self) -> None:
        arguments = {"filters": 4, "kernel_size": 2, "dilation_rate": (2, 3), "padding": "same", "pad_value": -1}
        self.check("BinaryConv2D", arguments, (2, 6, 5, 4), (2, 6, 5, 4), 1)

    def test_conv2d_with_groups(self) -> None:
        self.check("BinaryConv2D", {"filters": 4, "kernel_size": 2, "groups": 2}, (2, 6, 5, 6), (2, 5, 4, 4), 1)

    def test_conv2d_with_learned_thresholds(self) -> None:
        arguments = {"filters": 4, "kernel_size": 2, "input_quantizer": "learned_threshold_sign"}
        self.check("BinaryConv2D", arguments, (2, 6, 5, 3), (2, 5, 4, 4), 2)

    def test_conv3d(self) -> None:
        arguments = {"filters": 4, "kernel_size": 2, "padding": "same", "pad_value": -1}
        self.check("BinaryConv3D", arguments, (2, 3, 6, 5, 3), (2, 3, 6, 5, 4), 1)

    def test_depthwise_conv2d(self) -> None:
        arguments = {"kernel_size": 3, "depth_multiplier": 2, "padding": "same", "pad_value": 1, "use_bias": True}
        self.check("BinaryDepthwiseConv2D", arguments, (2, 6, 5, 3), (2, 6, 5, 6), 2)

    def test_separable_conv2d(self) -> None:
        arguments = {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "use_bias": True}
        self.check("BinarySeparableConv2D", arguments, (2, 6, 5, 3), (2, 4, 3, 4), 3)

    def test_conv2d_transpose(self) -> None:
        arguments = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": True}
        self.check("BinaryConv2DTranspose", arguments, (2, 3, 5, 3), (2, 6, 10, 4), 2)

    def test_quantize(self) -> None:
        self.check("Quantize", {"quantizer": SteSign(2.0)}, (2, 3, 4), (2, 3, 4), 0)

    def test_quantize_by_learned_thresholds(self) -> None:
        self.check("Quantize", {"quantizer": "learned_threshold_sign"}, (2, 3, 4), (2, 3, 4), 1)

    def test_rprelu(self) -> None:
        self.check("RPReLU", {}, (2, 3, 4), (2, 3, 4), 3)

    def test_shift_batch_normalization(self) -> None:
        self.check("ShiftBatchNormalization", {}, (2, 3, 4), (2, 3, 4), 2, fixed=2)

    def test_shift_batch_normalization_of_another_axis(self) -> None:
        arguments = {"axis": 1, "center": False, "scale": False}
        self.check("ShiftBatchNormalization", arguments, (2, 3, 4), (2, 3, 4), 0, fixed=2)


@pytest.mark.parametrize("name", BINARY_LAYERS)
def test_every_argument_of_the_keras_parent(name: str) -> None:
    layer, parent = getattr(layers, f"Binary{name}"), getattr(keras.layers, name)
    # Of __init__: some Pythons tell the signature of the __new__ that all layers of Keras inherit.
    ours, theirs = (dict(inspect.signature(one.__init__).parameters) for one in (layer, parent))
    del ours["self"], theirs["self"]
    named = [argument for argument in theirs if argument in ours]
    assert list(ours)[: len(named) - 1] == named[:-1]  # same order; the last one is **kwargs
    per_axis = ("kernel_size", "strides", "dilation_rate")  # where 1 and (1, 1) are the same
    for argument in named:
        assert ours[argument].kind == theirs[argument].kind
        if argument not in per_axis:
            assert ours[argument].default == CHANGED_DEFAULTS.get(argument, theirs[argument].default)
    made, reference = layer(**BINARY_LAYERS[name]), parent(**BINARY_LAYERS[name])
    assert [getattr(made, argument) for argument in per_axis if argument in named] == [
        getattr(reference, argument) for argument in per_axis if argument in named
    ]
    for argument in set(theirs) - set(ours):  # what newer versions of Keras add comes through **kwargs
        layer(**BINARY_LAYERS[name], **{argument: theirs[argument].default})


def test_shift_batch_normalization_has_the_arguments_of_batch_normalization() -> None:
    ours = inspect.signature(layers.ShiftBatchNormalization).parameters
    theirs = inspect.signature(keras.layers.BatchNormalization).parameters
    without_meaning = {"renorm", "renorm_clipping", "renorm_momentum", "synchronized"}
    renamed = {"moving_variance_initializer": "moving_inverse_std_initializer"}
    expected = [renamed.get(name, name) for name in theirs if name not in without_meaning]
    assert list(ours) == expected
    for name in set(ours) & set(theirs) - {"momentum", "epsilon"}:
        assert ours[name].default == theirs[name].default


@pytest.mark.parametrize("name", [*BINARY_LAYERS, "Quantize", "RPReLU", "ShiftBatchNormalization"])
def test_configuration_has_every_argument_in_order(name: str) -> None:
    layer = binary(name) if name in BINARY_LAYERS else getattr(layers, name)()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    arguments = [name for name, p in inspect.signature(type(layer)).parameters.items() if p.kind in kinds]
    kept_by_the_base_class = "activity_regularizer"
    expected = [name for name in arguments if name != kept_by_the_base_class]
    kept = [name for name in layer.get_config() if name in expected]
    assert sorted(kept) == sorted(expected)
    ours = [name for name in expected if name.endswith("quantizer") or name == "pad_value"]
    assert kept[len(kept) - len(ours) :] == ours


@pytest.mark.parametrize("name", BINARY_LAYERS)
def test_activity_regularizer_is_configured(name: str) -> None:
    layer = binary(name, activity_regularizer="l2")
    assert type(layer).from_config(layer.get_config()).activity_regularizer is not None


def test_configuration_of_quantizers_and_constraints() -> None:
    layer = BinaryConv2D(3, 2, kernel_quantizer=SteSign(0.5), kernel_constraint=WeightClip(0.5), input_quantizer=None)
    revived = BinaryConv2D.from_config(layer.get_config())
    assert revived.input_quantizer is None
    assert revived.kernel_quantizer.clip_value == 0.5
    assert revived.kernel_constraint.clip_value == 0.5


@pytest.mark.parametrize("name", BINARY_LAYERS)
def test_an_unclipped_binary_kernel_is_warned_of_once(name: str) -> None:
    role = "depthwise" if "Depthwise" in name or "Separable" in name else "kernel"
    message = f"Binary{name} 'hidden' has a {role}_quantizer but no {role}_constraint"
    with pytest.warns(UserWarning, match=message) as caught:
        getattr(layers, f"Binary{name}")(**BINARY_LAYERS[name], **{f"{role}_constraint": None}, name="hidden")
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_clipped_or_real_kernel_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BinaryDense(3)
        BinaryDense(3, kernel_quantizer=None, kernel_constraint=None)
        BinaryConv2D(3, 2, kernel_constraint=keras.constraints.MaxNorm())


@pytest.mark.parametrize("name", [name for name in BINARY_LAYERS if name != "Dense"])
def test_channels_first_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="got data_format='channels_first': pass data_format='channels_last'"):
        binary(name, data_format="channels_first")


@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D"])
@pytest.mark.parametrize("pad_value", [2, 0.5, "one"])
def test_pad_value_must_be_a_sign_or_zero(name: str, pad_value: object) -> None:
    with pytest.raises(ValueError, match=f"Binary{name} got pad_value={pad_value!r}: pass 0, 1 or -1."):
        binary(name, pad_value=pad_value)


def test_a_transposed_convolution_has_no_pad_value() -> None:
    with pytest.raises(ValueError, match="pad_value"):
        binary("Conv2DTranspose", pad_value=1)


@pytest.mark.parametrize("name", BINARY_LAYERS)
@pytest.mark.parametrize("dtype", ["int8_from_float32", "int32"])
def test_binary_layers_compute_in_floats(name: str, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"Binary{name} got dtype='{dtype}': pass one that computes in floats"):
        binary(name, dtype=dtype)


@pytest.mark.parametrize("name", BINARY_LAYERS)
def test_a_binary_layer_needs_the_number_of_channels(name: str) -> None:
    rank = next((rank for rank in (1, 2, 3) if f"{rank}D" in name), 0)
    with pytest.raises(ValueError, match=f"Binary{name} .* got an input of shape .*: the size of the last axis"):
        binary(name)(keras.Input((*[6] * rank, None)))


@pytest.mark.parametrize("quantizer", ["ste_sign", None])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32"])
def test_integers_count_as_numbers(quantizer: str | None, dtype: str) -> None:
    x = np.array([[[[0, 1, 100], [3, 2, 127]], [[9, 0, 0], [1, 0, 2]]]], dtype)
    x = x if dtype == "uint8" else x - np.array(3, dtype)
    for layer in (BinaryConv2D(4, 2, input_quantizer=quantizer), BinaryDense(4, input_quantizer=quantizer)):
        expected, found = layer(x.astype(np.float32)), layer(x)
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (found, expected)))


def test_bools_have_no_sign() -> None:
    with pytest.raises(ValueError, match="'hidden' got bool inputs, which are both \\+1 to a sign: pass numbers"):
        BinaryDense(4, name="hidden")(np.ones((1, 4), bool))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": "c"}, "axis='c': pass the number of an axis"),
        ({"axis": 1.5}, "axis=1.5: pass the number of an axis"),
        ({"momentum": 2}, "momentum=2: pass a number from 0 to 1"),
        ({"momentum": "a"}, "momentum='a': pass a number from 0 to 1"),
        ({"momentum": float("nan")}, "momentum=nan: pass a number from 0 to 1"),
        ({"epsilon": -1}, "epsilon=-1: pass a number from 0 up"),
    ],
)
def test_arguments_of_the_shift_based_normalization(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"ShiftBatchNormalization got {message}"):
        layers.ShiftBatchNormalization(**arguments)


@pytest.mark.parametrize("axis", [3, -4])
def test_an_axis_that_the_input_lacks(axis: int) -> None:
    with pytest.raises(ValueError, match=rf"axis={axis} and an input of shape \(2, 4, 5\): pass an axis from -3 to 2"):
        layers.ShiftBatchNormalization(axis=axis).build((2, 4, 5))


@pytest.mark.parametrize("layer", [layers.RPReLU, layers.ShiftBatchNormalization, layers.RSign])
def test_the_number_of_channels_must_be_known(layer: type) -> None:
    with pytest.raises(ValueError, match=r"got an input of shape \(None, 4, None\): .*must be known"):
        layer().build((None, 4, None))


def test_padding_by_one_needs_the_image_size_when_strided() -> None:
    inputs = keras.Input((None, 8, 3))
    assert BinaryConv2D(3, 3, padding="same", pad_value=1)(inputs).shape == (None, None, 8, 3)
    with pytest.raises(ValueError, match="the image size must be known, so give the model's Input all sizes"):
        BinaryConv2D(3, 3, padding="same", pad_value=1, strides=2)(inputs)


def test_a_quantize_layer_needs_a_quantizer() -> None:
    with pytest.raises(ValueError, match="Quantize got quantizer=None: pass a quantizer"):
        Quantize(None)


def test_an_unknown_quantizer_is_refused() -> None:
    with pytest.raises(ValueError, match="Unknown quantizer 'sign'"):
        BinaryDense(3, input_quantizer="sign")


def test_unknown_size_with_stride_one_is_the_same_padding() -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), BinaryConv2D(1, 3, padding="same", pad_value=1)])
    assert model.predict(np.ones((1, 4, 7, 1), np.float32), verbose=0).shape == (1, 4, 7, 1)
