"""Steps, int8 outputs and two outputs give the bits of format_reference on every kernel set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from format_reference import SAME, VALID, pack, run_packed
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from support import draw
from support.delegate import Session, assert_equals_reference, assert_same_bits
from support.draw import PACKED
from support.model_builder import ModelBuilder
from support.single_op import SingleOp

_KINDS = (PACKED, "float32", "int8", "uint8")
_ADD, _MULTIPLY, _DIVIDE, _PRELU, _RELU, _RELU_N1_TO_1, _RELU6, _FIRST_OUTPUT = range(1, 9)
_WITH_OPERAND = (_ADD, _MULTIPLY, _DIVIDE, _PRELU)
_OUTPUTS = (("y",), ("y8",), ("bits",), ("y", "bits"), ("y8", "bits"))
_STRIDES_2 = {"stride_h": 2, "stride_w": 2}
_LAYOUTS = ("constant", "images", "images8", "pixels", "pixels8")


@dataclass
class _Layer:
    """A file of one layer whose operands are inputs of the file."""

    kind: str
    shape: tuple[int, ...]  # of x, in channels
    channels_out: int
    op: str
    outputs: tuple[str, ...]
    steps: list[tuple[int, str]]  # digit and layout of the operand
    seed: int
    options: dict[str, int] = field(default_factory=dict)

    def build(self) -> bytes:
        rng = np.random.default_rng(self.seed)
        builder = ModelBuilder()
        x = _tensor(builder, self.kind, self.shape)
        channels = self.shape[-1]
        shapes = {
            "BnnConv2D": (self.channels_out, 3, 3, channels // self.options.get("groups", 1)),
            "BnnDepthwiseConv2D": (3, 3, self.channels_out),
            "BnnFullyConnected": (self.channels_out, channels),
            "BnnTransposeConv2D": (self.channels_out, 3, 3, channels),
        }
        kernel = draw.signs(rng, shapes[self.op])
        largest = draw.LARGEST_INPUT[self.kind] * kernel.size / self.channels_out
        multiplier, bias = draw.multiplier_and_bias(rng, self.channels_out, largest)
        arguments = [x, *(builder.constant(values) for values in (pack(kernel), multiplier, bias))]
        inputs = [x]
        for digit, layout in self.steps:
            if digit not in _WITH_OPERAND:
                continue
            if layout == "constant":
                arguments.append(builder.constant(_away_from_zero(digit, draw.inputs(rng, "float32", (len(bias),)))))
                continue
            is_int8 = layout.endswith("8")
            operand = _tensor(builder, "int8" if is_int8 else "float32", self._operand_shape(self.shape[0], layout))
            arguments.append(operand)
            inputs.append(operand)
        results = [self._output(builder, name) for name in self.outputs]
        digits = int("".join(f"{digit:x}" for digit, _ in reversed(self.steps)) or "0", 16)
        options = {"version": 1, "channels_in": channels, "steps": digits, **self.options}
        builder.custom(self.op, arguments, results, options)
        return builder.build(inputs, results)

    def inputs(self, batch: int) -> list[np.ndarray]:
        """The inputs for a batch: x, and the operands that are tensors."""
        rng = np.random.default_rng(self.seed + batch)
        values = [draw.inputs(rng, self.kind, (batch, *self.shape[1:]))]
        for digit, layout in self.steps:
            if digit in _WITH_OPERAND and layout != "constant":
                kind = "int8" if layout.endswith("8") else "float32"
                operand = draw.inputs(rng, kind, self._operand_shape(batch, layout))
                values.append(_away_from_zero(digit, operand))
        return values

    def _operand_shape(self, batch: int, layout: str) -> tuple[int, ...]:
        if self.op == "BnnFullyConnected":
            return (batch, *self.shape[1:-1], self.channels_out)
        if layout.startswith("images"):
            return (batch, 1, 1, self.channels_out)
        if self.op == "BnnTransposeConv2D":
            return (
                batch,
                *((length - 1) * self.options["stride_h"] + 3 for length in self.shape[1:3]),
                self.channels_out,
            )
        stride, padding = self.options["stride_h"], self.options["padding"]
        sizes = [length if padding == SAME else length - 2 for length in self.shape[1:3]]
        return (batch, *(math.ceil(size / stride) for size in sizes), self.channels_out)

    def _output(self, builder: ModelBuilder, name: str) -> int:
        if name == "y8":
            return builder.tensor((1,), np.int8, [0.37], -11)
        return builder.tensor((1,), np.float32 if name == "y" else np.int32)


def _tensor(builder: ModelBuilder, kind: str, shape: tuple[int, ...]) -> int:
    if kind == PACKED:
        shape = (*shape[:-1], math.ceil(shape[-1] / 32))
    scales = [0.043] if kind in ("int8", "uint8") else None
    return builder.tensor(shape, draw.DTYPES[kind], scales, 5)


def _away_from_zero(digit: int, values: np.ndarray) -> np.ndarray:
    """The operand, without the zeros that make a quotient NaN, whose bits the format leaves open."""
    if digit != _DIVIDE:
        return values
    if values.dtype == np.int8:
        return np.where(values == 5, np.int8(6), values)
    return np.where(np.abs(values) < 0.25, np.float32(-0.5), values)


def _random_layer(random: Random) -> _Layer:
    op = random.choice(("BnnConv2D", "BnnConv2D", "BnnDepthwiseConv2D", "BnnFullyConnected", "BnnTransposeConv2D"))
    outputs = random.choice(_OUTPUTS)
    steps: list[tuple[int, str]] = []
    for _ in range(random.choice([0, 1, 1, 2, 3, 5, 15])):
        digit = random.randint(_ADD, _FIRST_OUTPUT)
        if digit == _FIRST_OUTPUT and (len(outputs) == 1 or (_FIRST_OUTPUT, "") in steps):
            digit = _ADD
        layout = "constant" if digit == _PRELU else random.choice(_LAYOUTS) if digit in _WITH_OPERAND else ""
        steps.append((digit, layout))
    groups = random.choice([1, 1, 2, 3]) if op == "BnnConv2D" else 1
    channels = groups * random.choice([1, 2, 20, 32, 40, 70])
    channels_out = groups * random.choice([1, 5, 16, 31, 32, 33, 64, 65])
    if op == "BnnDepthwiseConv2D":
        channels_out = channels * random.choice([1, 2, 3])
    inner = random.randint(0, 2) if op == "BnnFullyConnected" else 2
    shape = (2, *(random.randint(3, 7) for _ in range(inner)), channels)
    options = {"activation": random.randint(0, 3), "pre_activation": random.randint(0, 3)}
    if op != "BnnFullyConnected":
        options |= dict.fromkeys(("stride_h", "stride_w"), random.choice([1, 2]))
    if op in ("BnnConv2D", "BnnDepthwiseConv2D"):
        options["padding"] = random.choice([SAME, VALID])
    if op == "BnnConv2D":
        options["groups"] = groups
    takes_bits_alone = op in ("BnnDepthwiseConv2D", "BnnTransposeConv2D")
    kind = PACKED if takes_bits_alone else random.choice(_KINDS)
    return _Layer(kind, shape, channels_out, op, outputs, steps, random.getrandbits(31), options)


@settings(max_examples=150, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
@given(random=st.integers(0, 2**32).map(Random), num_threads=st.sampled_from([1, 2]))
def test_random_layers(isa: str, random: Random, num_threads: int) -> None:
    layer = _random_layer(random)
    note(str(layer))
    model = layer.build()
    session = Session(model, isa, num_threads)
    for batch in (2, 1, 3):
        inputs = layer.inputs(batch)
        assert_same_bits(session.run(inputs), run_packed(model, inputs))


@pytest.mark.parametrize("digit", range(_ADD, _FIRST_OUTPUT + 1))
@pytest.mark.parametrize("outputs", _OUTPUTS, ids=" ".join)
def test_each_step(isa: str, digit: int, outputs: tuple[str, ...]) -> None:
    if digit == _FIRST_OUTPUT:
        outputs = (outputs[0].replace("bits", "y"), "bits")
    layouts = {_PRELU: ("constant",)}.get(digit, _LAYOUTS if digit in _WITH_OPERAND else ("",))
    behind = [(_MULTIPLY, "constant")] if digit == _FIRST_OUTPUT else []
    for layout in layouts:
        options = {"padding": SAME, "stride_h": 1, "stride_w": 1}
        layer = _Layer(PACKED, (2, 5, 4, 40), 40, "BnnConv2D", outputs, [(digit, layout), *behind], digit, options)
        assert_equals_reference(layer.build(), layer.inputs(2), isa)


def test_large_layer_on_threads(isa: str) -> None:
    """Enough work for every thread, in an amount that no thread count divides."""
    options = {"padding": SAME, "stride_h": 1, "stride_w": 1}
    for outputs in (("y", "bits"), ("y8", "bits")):
        for steps in ([(_ADD, "pixels")], [(_MULTIPLY, "images"), (_FIRST_OUTPUT, ""), (_ADD, "pixels8")]):
            for op, channels_out in (("BnnConv2D", 97), ("BnnDepthwiseConv2D", 258)):
                layer = _Layer(PACKED, (3, 23, 29, 129), channels_out, op, outputs, steps, 7, options)
                assert_equals_reference(layer.build(), layer.inputs(3), isa, num_threads=5)
            layer = _Layer(PACKED, (3, 11, 13, 129), 97, "BnnTransposeConv2D", outputs, steps, 7, _STRIDES_2)
            assert_equals_reference(layer.build(), layer.inputs(3), isa, num_threads=5)


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 100, 512])
def test_quantize_with_multiplier_and_bias(isa: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    x = draw.inputs(rng, "float32", (3, 5, channels))
    multiplier, bias = draw.multiplier_and_bias(rng, channels, 8)
    x[0, 0, 0], multiplier[0], bias[0] = 4097, -4097, 16785408  # -16785409 rounds to -16785408, so the sum is 0
    op = SingleOp("BnnQuantize", "float32", x.shape, {"version": 1}, [multiplier, bias], np.int32)
    assert_equals_reference(op.build(), [x], isa)


@pytest.mark.parametrize(("scale", "zero_point"), [(1.0, 0), (2.0, 3), (0.5, -128), (2**-7, 127), (0.3, 10)])
def test_dequantize_to_int8(isa: str, scale: float, zero_point: int) -> None:
    builder = ModelBuilder()
    x = builder.tensor((3, 2), np.int32)
    y = builder.tensor((1,), np.int8, [scale], zero_point)
    builder.custom("BnnDequantize", [x], [y], {"version": 1, "channels": 40})
    bits = draw.inputs(np.random.default_rng(1), PACKED, (3, 40))
    assert_equals_reference(builder.build([x], [y]), [bits], isa)
