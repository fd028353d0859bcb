"""The binary layers as Keras layers: Keras's own test, signatures, configuration, error messages."""

from __future__ import annotations

import inspect
import warnings

import keras
import numpy as np
import pytest
from keras.src.testing import TestCase

from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryConv2D, BinaryDense, Quantize
from keras_bnn.quantizers import SteSign

CHANGED_DEFAULTS = {"use_bias": False, "kernel_constraint": "weight_clip"}


class KerasLayerTest(TestCase):
    """Keras's `run_layer_test`: shapes, dtypes, variables, serialization, a training step, mixed precision."""

    def check(self, layer: type, arguments: dict, input_shape: tuple, output_shape: tuple, variables: int) -> None:
        self.run_layer_test(
            layer,
            arguments,
            input_shape=input_shape,
            expected_output_shape=output_shape,
            expected_num_trainable_weights=variables,
            expected_num_non_trainable_weights=0,
            expected_num_seed_generators=0,
            expected_num_losses=0,
        )

    def test_dense(self) -> None:
        self.check(BinaryDense, {"units": 5}, (2, 7), (2, 5), 1)

    def test_dense_with_every_option(self) -> None:
        arguments = {"units": 5, "use_bias": True, "activation": "relu", "kernel_quantizer": SteSign(0.5)}
        self.check(BinaryDense, {**arguments, "input_quantizer": None}, (2, 3, 7), (2, 3, 5), 2)

    def test_conv2d(self) -> None:
        self.check(BinaryConv2D, {"filters": 4, "kernel_size": 3}, (2, 6, 5, 3), (2, 4, 3, 4), 1)

    def test_conv2d_with_strides_and_padding(self) -> None:
        arguments = {
            "filters": 4,
            "kernel_size": (3, 2),
            "strides": 2,
            "padding": "same",
            "pad_value": 1,
            "use_bias": True,
        }
        self.check(BinaryConv2D, arguments, (2, 6, 5, 3), (2, 3, 3, 4), 2)

    def test_conv2d_with_dilation(self) -> None:
        arguments = {"filters": 4, "kernel_size": 2, "dilation_rate": (2, 3), "padding": "same", "pad_value": -1}
        self.check(BinaryConv2D, arguments, (2, 6, 5, 4), (2, 6, 5, 4), 1)

    def test_conv2d_with_groups(self) -> None:
        self.check(BinaryConv2D, {"filters": 4, "kernel_size": 2, "groups": 2}, (2, 6, 5, 6), (2, 5, 4, 4), 1)

    def test_quantize(self) -> None:
        self.check(Quantize, {"quantizer": SteSign(2.0)}, (2, 3, 4), (2, 3, 4), 0)


@pytest.mark.parametrize(("layer", "parent"), [(BinaryDense, keras.layers.Dense), (BinaryConv2D, keras.layers.Conv2D)])
def test_every_argument_of_the_keras_parent(layer: type, parent: type) -> None:
    ours, theirs = inspect.signature(layer).parameters, inspect.signature(parent).parameters
    named = [name for name in theirs if name in ours]
    assert list(ours)[: len(named) - 1] == named[:-1]  # same order; the last one is **kwargs
    for name in named:
        default = CHANGED_DEFAULTS.get(name, theirs[name].default)
        assert ours[name].default == default
        assert ours[name].kind == theirs[name].kind
    positional = {"units": 3} if parent is keras.layers.Dense else {"filters": 3, "kernel_size": 2}
    for name in set(theirs) - set(ours):  # what newer versions of Keras add comes through **kwargs
        layer(**positional, **{name: theirs[name].default})


@pytest.mark.parametrize("layer", [BinaryConv2D(3, 2), BinaryDense(3), Quantize()])
def test_configuration_has_every_argument_in_order(layer: keras.layers.Layer) -> None:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    arguments = [name for name, p in inspect.signature(type(layer)).parameters.items() if p.kind in kinds]
    kept_by_the_base_class = "activity_regularizer"
    expected = [name for name in arguments if name != kept_by_the_base_class]
    assert [name for name in layer.get_config() if name in expected] == expected


@pytest.mark.parametrize(
    "layer", [BinaryConv2D(3, 2, activity_regularizer="l2"), BinaryDense(3, activity_regularizer="l2")]
)
def test_activity_regularizer_is_configured(layer: keras.layers.Layer) -> None:
    assert type(layer).from_config(layer.get_config()).activity_regularizer is not None


def test_configuration_of_quantizers_and_constraints() -> None:
    layer = BinaryConv2D(3, 2, kernel_quantizer=SteSign(0.5), kernel_constraint=WeightClip(0.5), input_quantizer=None)
    revived = BinaryConv2D.from_config(layer.get_config())
    assert revived.input_quantizer is None
    assert revived.kernel_quantizer.clip_value == 0.5
    assert revived.kernel_constraint.clip_value == 0.5


@pytest.mark.parametrize(("layer", "size"), [(BinaryDense, (3,)), (BinaryConv2D, (3, 2))])
def test_an_unclipped_binary_kernel_is_warned_of_once(layer: type, size: tuple) -> None:
    message = f"{layer.__name__} 'hidden' has a quantized kernel but no kernel_constraint"
    with pytest.warns(UserWarning, match=message) as caught:
        layer(*size, kernel_constraint=None, name="hidden").build((1, 4, 4, 2))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_clipped_or_real_kernel_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BinaryDense(3)
        BinaryDense(3, kernel_quantizer=None, kernel_constraint=None)
        BinaryConv2D(3, 2, kernel_constraint=keras.constraints.MaxNorm())


def test_channels_first_is_refused() -> None:
    with pytest.raises(ValueError, match="got data_format='channels_first': pass data_format='channels_last'"):
        BinaryConv2D(3, 2, data_format="channels_first")


@pytest.mark.parametrize("pad_value", [2, 0.5, "one"])
def test_pad_value_must_be_a_sign_or_zero(pad_value: object) -> None:
    with pytest.raises(ValueError, match=f"BinaryConv2D got pad_value={pad_value!r}: pass 0, 1 or -1."):
        BinaryConv2D(3, 2, pad_value=pad_value)


def test_padding_by_one_needs_the_image_size_when_strided() -> None:
    inputs = keras.Input((None, 8, 3))
    assert BinaryConv2D(3, 3, padding="same", pad_value=1)(inputs).shape == (None, None, 8, 3)
    with pytest.raises(
        ValueError, match=r"the image size must be known, so give the model's Input a height and a width"
    ):
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
