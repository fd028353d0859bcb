"""Each wrong file is refused while it is prepared, with one sentence: which op, what came, what was expected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from format_reference import EXPLICIT, VALID
from support import draw, kernel_sets
from support.delegate import Session
from support.draw import PACKED
from support.single_op import SingleOp, conv2d, fully_connected

from keras_bnn import runtime

_RNG = np.random.default_rng(0)
_MULTIPLIER, _BIAS = np.ones(6, np.float32), np.zeros(6, np.float32)
_ROW = np.ones(40, np.float32)
_THRESHOLDS = np.zeros(6, np.int32)
_KERNEL = draw.signs(_RNG, (6, 3, 3, 40))
_DENSE_KERNEL = draw.signs(_RNG, (6, 40))

_CONV = conv2d(PACKED, (2, 5, 4, 40), _KERNEL, [_MULTIPLIER, _BIAS])
_CONV_TO_BITS = conv2d(PACKED, (2, 5, 4, 40), _KERNEL, [_THRESHOLDS])
_FLOAT_CONV = conv2d("float32", (2, 5, 4, 40), _KERNEL, [_MULTIPLIER, _BIAS])
_DENSE = fully_connected(PACKED, (3, 40), _DENSE_KERNEL, [_MULTIPLIER, _BIAS])
_FLOAT_DENSE = fully_connected("float32", (3, 40), _DENSE_KERNEL, [_MULTIPLIER, _BIAS])
_QUANTIZE = SingleOp("BnnQuantize", "float32", (3, 40), {"version": 1}, output=np.int32)
_DEQUANTIZE = SingleOp("BnnDequantize", PACKED, (3, 2), {"version": 1, "channels": 40})
_POOL = SingleOp(
    "BnnMaxPool2D",
    PACKED,
    (2, 5, 4, 2),
    {"version": 1, "window_h": 2, "window_w": 2, "stride_h": 2, "stride_w": 2, "padding": 0},
    output=np.int32,
)
_ALL = (_CONV, _CONV_TO_BITS, _FLOAT_CONV, _DENSE, _FLOAT_DENSE, _QUANTIZE, _DEQUANTIZE, _POOL)


def _refusal(op: SingleOp) -> str:
    with pytest.raises((RuntimeError, ValueError)) as caught:
        Session(op.build(), "scalar")
    sentence = str(caught.value).splitlines()[0]  # the runtime adds its own lines
    assert sentence.startswith("keras-bnn: ")
    return sentence


def _with(op: SingleOp, **options: Any) -> SingleOp:
    """The op with other options; None takes one away."""
    assert isinstance(op.options, dict)
    merged = {**op.options, **options}
    return replace(op, options={key: value for key, value in merged.items() if value is not None})


def _with_operand(op: SingleOp, steps: int, values: np.ndarray) -> SingleOp:
    return replace(_with(op, steps=steps), constants=[*op.constants, values])


def _with_constant(op: SingleOp, place: int, values: np.ndarray) -> SingleOp:
    constants = list(op.constants)
    constants[place] = values
    return replace(op, constants=constants)


@pytest.mark.parametrize("op", _ALL, ids=lambda op: f"{op.name}-{op.kind}-{op.output.__name__}")
def test_the_ops_that_the_refusals_start_from_are_right(op: SingleOp) -> None:
    Session(op.build(), "scalar")


_OPTIONS = {
    "unknown key": (_with(_CONV, colour=1), ["colour"]),
    "unknown key of another op": (_with(_QUANTIZE, channels=40), ["channels"]),
    "no version": (_with(_QUANTIZE, version=None), ["version", "missing"]),
    "no channels_in": (_with(_DENSE, channels_in=None), ["channels_in", "missing"]),
    "no channels": (_with(_DEQUANTIZE, channels=None), ["channels", "missing"]),
    "no padding": (_with(_CONV, padding=None), ["padding", "missing"]),
    "no window": (_with(_POOL, window_w=None), ["window_w", "missing"]),
    "version 2": (_with(_CONV, version=2), ["version 2", "version 1"]),
    "digit of no step": (_with(_CONV, steps=0x19), ["steps", "0x19", "1 to 8"]),
    "digit 0 before a step": (_with(_DENSE, steps=0x50), ["steps", "0x50", "1 to 8"]),
    "two first outputs": (_with(_CONV, steps=0x858), ["steps", "0x858", "at most once"]),
    "sixteen steps": (_with(_CONV, steps=1 << 60), ["steps", f"{1 << 60}"]),
    "stride 0": (_with(_CONV, stride_h=0), ["stride_h", "0", "expected 1"]),
    "pooling stride 0": (_with(_POOL, stride_w=0), ["stride_w", "0", "expected 1"]),
    "window 0": (_with(_POOL, window_h=0), ["window_h", "0", "expected 1"]),
    "negative dilation": (_with(_CONV, dilation_w=-1), ["dilation_w", "-1", "expected 1"]),
    "groups 0": (_with(_CONV, groups=0), ["groups", "0", "expected 1"]),
    "channels 0": (_with(_DEQUANTIZE, channels=0), ["channels", "0", "expected 1"]),
    "padding 3": (_with(_CONV, padding=3), ["padding", "3", "0 to 2"]),
    "explicit padding of a pool": (_with(_POOL, padding=EXPLICIT), ["padding", "2", "0 to 1"]),
    "pad_value 2": (_with(_CONV, pad_value=2), ["pad_value", "2", "-1 to 1"]),
    "negative pad": (_with(_CONV, padding=EXPLICIT, pad_top=-1), ["pad_top", "-1", "0 to"]),
    "pad without EXPLICIT": (_with(_CONV, padding=VALID, pad_left=1), ["pad_left", "1", "0 to 0"]),
    "activation 4": (_with(_CONV, activation=4), ["activation", "4", "0 to 3"]),
    "pre_activation -1": (_with(_DENSE, pre_activation=-1), ["pre_activation", "-1", "0 to 3"]),
    "beyond int32": (_with(_CONV, channels_in=2**40), ["channels_in", str(2**40)]),
    "text": (_with(_CONV, channels_in="forty"), ["channels_in", "no integer"]),
    "fraction": (_with(_CONV, stride_w=1.5), ["stride_w", "no integer"]),
    "no options": (replace(_QUANTIZE, options=b""), ["flexbuffer map"]),
    "other bytes": (replace(_QUANTIZE, options=b"version=1"), ["flexbuffer map"]),
}

_INPUTS = {
    "rank of x": (replace(_CONV, shape=(5, 4, 2)), ["[5, 4, 2]", "4 dimensions"]),
    "rank of a pool's x": (replace(_POOL, shape=(5, 4, 2)), ["[5, 4, 2]", "4 dimensions"]),
    "words of x": (replace(_CONV, shape=(2, 5, 4, 3)), ["[2, 5, 4, 3]", "2 words", "channels_in 40"]),
    "channels of x": (replace(_FLOAT_CONV, shape=(2, 5, 4, 39)), ["[2, 5, 4, 39]", "40 channels", "channels_in 40"]),
    "words of a row": (replace(_DENSE, shape=(3, 5)), ["[3, 5]", "2"]),
    "row across dimensions": (replace(_DENSE, shape=(4, 3, 1)), ["[4, 3, 1]", "2"]),
    "channels of a row": (replace(_FLOAT_DENSE, shape=(3, 41)), ["[3, 41]", "40"]),
    "words for channels": (_with(_DEQUANTIZE, channels=65), ["[3, 2]", "3 words", "65 channels"]),
    "quantize of uint8": (replace(_QUANTIZE, kind="uint8"), ["uint8", "float32 or int8"]),
    "zero point of int8": (replace(_QUANTIZE, kind="int8", zero_point=128), ["zero point 128", "-128 to 127"]),
    "zero point of uint8": (replace(_FLOAT_CONV, kind="uint8", zero_point=-1), ["zero point -1", "0 to 255"]),
    "quantize of words": (replace(_QUANTIZE, kind=PACKED), ["int32", "float32 or int8"]),
    "dequantize of float32": (replace(_DEQUANTIZE, kind="float32"), ["float32", "int32"]),
    "pool of float32": (replace(_POOL, kind="float32"), ["float32", "int32"]),
    "larger window": (_with(replace(_CONV, shape=(2, 2, 4, 2)), padding=VALID), ["3", "2", "larger image"]),
    "larger pool": (_with(_POOL, padding=VALID, window_w=9), ["9", "4", "larger image"]),
    "pad_value of int8": (_with(replace(_FLOAT_CONV, kind="int8"), pad_value=1), ["pad_value", "1", "int8"]),
    "pad_value of uint8": (_with(replace(_FLOAT_CONV, kind="uint8"), pad_value=-1), ["pad_value", "-1", "uint8"]),
    "groups and channels_in": (_with(_CONV, groups=3), ["groups is 3", "channels_in 40"]),
    "groups and channels_out": (
        _with_constant(_with(_CONV, groups=4), 0, np.zeros((6, 3, 3, 1), np.int32)),
        ["groups is 4", "6 output channels"],
    ),
}

_CONSTANTS = {
    "weights of float32": (_with_constant(_DENSE, 0, np.zeros((6, 2), np.float32)), ["weights", "float32", "int32"]),
    "rank of weights": (_with_constant(_CONV, 0, np.zeros((6, 9, 2), np.int32)), ["weights", "[6, 9, 2]"]),
    "words of weights": (_with_constant(_CONV, 0, np.zeros((6, 3, 3, 1), np.int32)), ["weights", "[6, 3, 3, 1]", "2]"]),
    "words of dense weights": (_with_constant(_DENSE, 0, np.zeros((6, 1), np.int32)), ["weights", "[6, 1]", "2 words"]),
    "gaps with real x": (_with_constant(_FLOAT_DENSE, 0, np.zeros((6, 3), np.int32)), ["weights", "[6, 3]", "2 words"]),
    "bits behind the channels": (_with_constant(_CONV, 0, np.full((6, 3, 3, 2), 256, np.int32)), ["40 channels"]),
    "bits behind the channels of real x": (
        _with_constant(_FLOAT_CONV, 0, np.full((6, 3, 3, 2), -1, np.int32)),
        ["40 channels", "convert the model again"],
    ),
    "bits behind a row": (_with_constant(_FLOAT_DENSE, 0, np.full((6, 2), 256, np.int32)), ["40 channels"]),
    "more bits than channels in a row": (
        _with_constant(_DENSE, 0, np.full((6, 2), -1, np.int32)),
        ["use 64 bits", "channels_in, 40"],
    ),
    "weights as input": (replace(_CONV, is_input=0), ["weights", "not constant"]),
    "dense weights as input": (replace(_DENSE, is_input=0), ["weights", "not constant"]),
    "multiplier as input": (replace(_CONV, is_input=1), ["multiplier", "not constant"]),
    "bias as input": (replace(_DENSE, is_input=2), ["bias", "not constant"]),
    "thresholds as input": (replace(_CONV_TO_BITS, is_input=1), ["thresholds", "not constant"]),
    "length of multiplier": (_with_constant(_CONV, 1, np.ones(5, np.float32)), ["multiplier", "[5]", "[6]"]),
    "length of bias": (_with_constant(_CONV, 2, np.ones(7, np.float32)), ["bias", "[7]", "[6]"]),
    "length of thresholds": (_with_constant(_CONV_TO_BITS, 1, np.ones(1, np.int32)), ["thresholds", "[1]", "[6]"]),
    "multiplier of int32": (_with_constant(_CONV, 1, np.ones(6, np.int32)), ["multiplier", "int32", "float32"]),
    "thresholds of float32": (_with_constant(_CONV_TO_BITS, 1, _MULTIPLIER), ["thresholds", "float32", "int32"]),
    "two inputs": (replace(_CONV, constants=_CONV.constants[:1]), ["2 inputs", "3 or 4"]),
    "five inputs": (replace(_CONV, constants=[*_CONV.constants, _BIAS]), ["5 inputs", "3 or 4"]),
    "two inputs of quantize": (replace(_QUANTIZE, constants=[_BIAS]), ["2 inputs", "1 or 3"]),
    "int8 and multiplier of quantize": (replace(_QUANTIZE, kind="int8", constants=[_ROW, _ROW]), ["int8", "float32"]),
    "length of quantize's bias": (replace(_QUANTIZE, constants=[_ROW, _BIAS]), ["biases", "[6]", "[40]"]),
    "missing operand": (_with(_CONV, steps=0x21), ["4 inputs", "6"]),
    "length of an operand": (_with_operand(_CONV, 1, np.ones(5, np.float32)), ["step 1", "[5]", "[6]"]),
    "type of an operand": (_with_operand(_CONV, 0x15, np.ones(6, np.int32)), ["step 2", "int32", "float32"]),
    "shape of an operand": (replace(_with_operand(_CONV, 3, np.ones((2, 5, 1, 6), np.float32)), is_input=3),
                            ["step 1", "[2, 5, 1, 6]", "[2, 5, 4, 6]", "[2, 1, 1, 6]"]),
    "operand of each row": (replace(_with_operand(_DENSE, 1, np.ones((3, 1), np.float32)), is_input=3),
                            ["step 1", "[3, 1]", "[3, 6]"]),
    "slopes as input": (replace(_with_operand(_CONV, 4, _BIAS), is_input=3), ["step 1", "not constant"]),
    "first output of one": (_with(_CONV, steps=8), ["1 output", "expected 2"]),
    "steps and thresholds": (_with(_CONV_TO_BITS, steps=5), ["3 inputs", "4"]),
    "thresholds and float output": (replace(_CONV_TO_BITS, output=np.float32), ["3 inputs", "multiplier", "bias"]),
    "thresholds of float x": (replace(_FLOAT_CONV, constants=[_FLOAT_CONV.constants[0], _THRESHOLDS], output=np.int32),
                              ["3 inputs", "multiplier", "bias"]),
    "activation and thresholds": (_with(_CONV_TO_BITS, activation=1), ["activation", "thresholds"]),
    "pre_activation and thresholds": (_with(_CONV_TO_BITS, pre_activation=2), ["activation", "thresholds"]),
    "int8 output without a scale": (replace(_CONV, output=np.int8), ["output", "int8", "scale"]),
    "uint8 output": (replace(_CONV, output=np.uint8), ["output", "uint8", "int8"]),
    "float output of quantize": (replace(_QUANTIZE, output=np.float32), ["output", "float32", "int32"]),
    "int8 output of dequantize": (replace(_DEQUANTIZE, output=np.int8), ["output", "int8", "scale"]),
    "uint8 output of dequantize": (replace(_DEQUANTIZE, output=np.uint8), ["output", "uint8", "float32 or int8"]),
    "float output of a pool": (replace(_POOL, output=np.float32), ["output", "float32", "int32"]),
}  # fmt: skip


@pytest.mark.parametrize(("op", "parts"), _OPTIONS.values(), ids=_OPTIONS)
def test_wrong_options(op: SingleOp, parts: list[str]) -> None:
    _assert_names(_refusal(op), [op.name, *parts])


@pytest.mark.parametrize(("op", "parts"), _INPUTS.values(), ids=_INPUTS)
def test_wrong_inputs(op: SingleOp, parts: list[str]) -> None:
    _assert_names(_refusal(op), [op.name, *parts])


@pytest.mark.parametrize(("op", "parts"), _CONSTANTS.values(), ids=_CONSTANTS)
def test_wrong_constants_and_outputs(op: SingleOp, parts: list[str]) -> None:
    _assert_names(_refusal(op), [op.name, *parts])


def _assert_names(message: str, parts: list[str]) -> None:
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} are not in: {message}"


@pytest.mark.parametrize("scales", [None, [0.1] * 40], ids=["none", "per channel"])
@pytest.mark.parametrize("op", [_QUANTIZE, _FLOAT_CONV, _FLOAT_DENSE], ids=lambda op: op.name)
def test_int8_without_one_scale(op: SingleOp, scales: list[float] | None) -> None:
    _assert_names(_refusal(replace(op, kind="int8", scales=scales)), [op.name, "int8", "scale", "zero point"])


def test_unknown_kernel_set() -> None:
    with pytest.raises(ValueError, match='there is no kernel set "abacus"') as caught:
        runtime.load_delegate(isa="abacus")
    working = [isa for isa in kernel_sets.ALL if kernel_sets.why_unsupported(isa) is None]
    _assert_names(str(caught.value), working)


def test_kernel_set_of_another_cpu() -> None:
    others = [isa for isa in kernel_sets.ALL if kernel_sets.why_unsupported(isa)]
    for isa in others:
        with pytest.raises(ValueError, match=isa) as caught:
            runtime.load_delegate(isa=isa)
        _assert_names(str(caught.value), ["scalar"])


def test_unknown_delegate_option() -> None:
    with pytest.raises(ValueError, match="colour"):
        runtime.load_delegate(colour="red")


def test_a_file_without_its_delegate_names_the_op() -> None:
    interpreter = runtime.stock_runtime().Interpreter(model_content=_CONV.build())
    with pytest.raises(RuntimeError, match="BnnConv2D"):
        interpreter.allocate_tensors()
