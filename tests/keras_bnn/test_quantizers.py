"""What all quantizers share: names, configuration, dtypes, precision, error messages."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn import quantizers
from keras_bnn.layers import BinaryDense, Quantize
from keras_bnn.quantizers import (
    ApproxSign,
    DoReFa,
    LearnedThresholdSign,
    MagnitudeAwareSign,
    NoOp,
    SteHeaviside,
    SteSign,
    SteTern,
    StochasticSign,
    SwishSign,
)

# name: (class, bits, an instance with no default argument, its configuration)
QUANTIZERS: dict[str, tuple] = {
    "ste_sign": (SteSign, 1, SteSign(0.5), {"clip_value": 0.5}),
    "stochastic_sign": (StochasticSign, 1, StochasticSign(7, 0.5), {"seed": 7, "clip_value": 0.5}),
    "approx_sign": (ApproxSign, 1, ApproxSign(), {}),
    "swish_sign": (SwishSign, 1, SwishSign(3), {"beta": 3.0}),
    "magnitude_aware_sign": (
        MagnitudeAwareSign,
        1,
        MagnitudeAwareSign(0.5, axis=(-2, -1)),
        {"clip_value": 0.5, "axis": (-2, -1)},
    ),
    "ste_tern": (SteTern, 2, SteTern(None, 0.5), {"threshold_value": None, "clip_value": 0.5}),
    "ste_heaviside": (SteHeaviside, 1, SteHeaviside(0.5), {"clip_value": 0.5}),
    "dorefa": (DoReFa, 2, DoReFa(4, "weights"), {"k_bit": 4, "mode": "weights"}),
    "learned_threshold_sign": (
        LearnedThresholdSign,
        1,
        LearnedThresholdSign("ones", "l2", "non_neg"),
        {
            "threshold_initializer": keras.initializers.serialize(keras.initializers.Ones()),
            "threshold_regularizer": keras.regularizers.serialize(keras.regularizers.L2()),
            "threshold_constraint": keras.constraints.serialize(keras.constraints.NonNeg()),
        },
    ),
    "no_op": (NoOp, 32, NoOp(1), {"precision": 1}),
}
RANDOM = np.random.default_rng(7).normal(0.1, 1.2, (5, 33)).astype(np.float32)


def numpy(x: object) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def revived(quantizer: Any) -> Any:
    """The quantizer as a saved model would bring it back."""
    return quantizers.get(quantizers.serialize(quantizer))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_get(name: str) -> None:
    kind, precision, instance, _ = QUANTIZERS[name]
    for identifier in (name, kind, getattr(quantizers, name)):
        quantizer = quantizers.get(identifier)
        assert type(quantizer) is kind
        assert quantizer.precision == precision
        assert quantizers.get(identifier) is not quantizer  # each layer has its own
    assert quantizers.get(instance) is instance


def test_get_takes_functions_and_none() -> None:
    def half(x: float) -> float:
        return x / 2

    assert quantizers.get(None) is None
    assert quantizers.get(half) is half
    assert quantizers.serialize(None) is None


@pytest.mark.parametrize("identifier", ["ste_sine", 3, 0.5])
def test_an_unknown_quantizer_is_refused_with_all_names(identifier: object) -> None:
    names = ", ".join(repr(name) for name in QUANTIZERS)
    with pytest.raises(ValueError, match=f"Unknown quantizer {identifier!r}: pass one of the names {names}, a func"):
        quantizers.get(identifier)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_configuration_round_trip(name: str) -> None:
    kind, _, instance, config = QUANTIZERS[name]
    assert quantizers.serialize(instance)["registered_name"] == f"keras_bnn>{kind.__name__}"
    assert type(revived(instance)) is kind
    for quantizer in (instance, revived(instance)):
        assert {key: quantizer.get_config()[key] for key in config} == config


def test_precision_follows_the_arguments() -> None:
    assert [revived(DoReFa(bits)).precision for bits in (1, 3, 16)] == [1, 3, 16]
    assert revived(NoOp(8)).precision == 8


@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_shape_and_dtype(name: str, dtype: str) -> None:
    for training in (False, True) if name == "stochastic_sign" else (None,):
        quantizer = quantizers.get(name)
        x = ops.cast(RANDOM, dtype)
        y = quantizer(x) if training is None else quantizer(x, training=training)
        is_layer = isinstance(quantizer, keras.layers.Layer)  # which gives its own compute dtype, as all of them do
        assert keras.backend.standardize_dtype(y.dtype) == ("float32" if is_layer else dtype)
        assert y.shape == x.shape
    assert Quantize(name)(keras.Input((6,))).shape == (None, 6)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_variable_is_read(name: str) -> None:
    np.testing.assert_array_equal(
        numpy(quantizers.get(name)(keras.Variable(RANDOM))), numpy(quantizers.get(name)(RANDOM))
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", [name for name in QUANTIZERS if QUANTIZERS[name][1] == 1])
def test_mixed_precision_quantizes_the_float32_kernel(name: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)  # also for the quantizers that are layers
    try:
        layer = BinaryDense(2, input_quantizer=None, kernel_quantizer=name)
        layer.build((1, 1))
    finally:
        keras.config.set_dtype_policy("float32")
    layer.kernel.assign([[1e-9, -1e-9]])  # float16 has neither, it would round them to 0.0 and -0.0
    positive, negative = numpy(layer(np.ones((1, 1), np.float32)))[0]
    assert positive > negative or (name == "magnitude_aware_sign" and policy == "mixed_float16")  # +-1e-9 underflow
    if name not in ("ste_heaviside", "magnitude_aware_sign"):
        assert (positive, negative) == (1, -1)


INVALID = [
    (SteSign, {"clip_value": 0}, "SteSign got clip_value=0: pass a number above 0"),
    (StochasticSign, {"clip_value": -1.0}, "StochasticSign got clip_value=-1.0: pass a number above 0"),
    (MagnitudeAwareSign, {"clip_value": float("nan")}, "MagnitudeAwareSign got clip_value=nan: pass a number above 0"),
    (SteTern, {"clip_value": 0}, "SteTern got clip_value=0: pass a number above 0"),
    (SteTern, {"threshold_value": -0.1}, "SteTern got threshold_value=-0.1: pass a number from 0 up"),
    (SteHeaviside, {"clip_value": 0}, "SteHeaviside got clip_value=0: pass a number above 0"),
    (SwishSign, {"beta": 0}, "SwishSign got beta=0: pass a number above 0"),
    (DoReFa, {"k_bit": 0}, "DoReFa got k_bit=0: pass a number of bits from 1 to 16"),
    (DoReFa, {"k_bit": 17}, "DoReFa got k_bit=17: pass a number of bits from 1 to 16"),
    (DoReFa, {"k_bit": 2.0}, "DoReFa got k_bit=2.0: pass a number of bits from 1 to 16"),
    (DoReFa, {"mode": "kernel"}, "DoReFa got mode='kernel': pass 'activations' or 'weights'"),
    (SteSign, {"clip_value": None}, r"SteSign got clip_value=None: pass float\('inf'\)"),
    (NoOp, {"precision": 0}, "NoOp got precision=0: pass a number of bits"),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), INVALID)
def test_invalid_arguments_are_refused(kind: type, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_a_function_refuses_an_unknown_mode_too() -> None:
    with pytest.raises(ValueError, match="dorefa got mode='activation': pass 'activations' or 'weights'"):
        quantizers.dorefa(np.ones(3, np.float32), 1, "activation")


@pytest.mark.parametrize("name", QUANTIZERS)
def test_class_names_and_short_configurations_are_names_too(name: str) -> None:
    kind, _, _, config = QUANTIZERS[name]
    assert type(quantizers.get(kind.__name__)) is kind
    found = quantizers.get({"class_name": kind.__name__, "config": config})
    assert type(found) is kind
    assert config.items() <= found.get_config().items()


@pytest.mark.parametrize("name", sorted(set(QUANTIZERS) - {"stochastic_sign", "learned_threshold_sign", "no_op"}))
def test_a_symbolic_tensor_is_refused_with_the_way_to_go(name: str) -> None:
    with pytest.raises(TypeError, match=r"make a layer of it, keras_bnn\.layers\.Quantize\(quantizer\)\(x\)"):
        quantizers.get(name)(keras.Input((3,)))
