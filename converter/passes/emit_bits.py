"""A packed op computes the bits that a BnnQuantize behind it reads of its output.

Where nothing else reads the output, the bits are all that is left of it: with exact sums its multiplier, bias,
activations and constant steps become one integer threshold per channel. Where others do, as in a residual network, the
op has two outputs, the values and their bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..bits import pack_signs
from ..custom_ops import (
    ADD,
    FIRST_OUTPUT,
    MOST_STEPS,
    MUL,
    NO_ACTIVATION,
    STEPS_WITH_OPERAND,
    steps_of,
    with_steps,
)
from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant
from ..thresholds import find_thresholds
from .base import Match, Pass, float_producer


@dataclass(frozen=True)
class EmitMatch(Match):
    """The packed op that computes what the BnnQuantize does, the steps for it, and whether it keeps its own output."""

    packed: Op
    steps: tuple[int, ...]
    operands: tuple[Tensor, ...]
    keeps_values: bool


class EmitBits(Pass[EmitMatch]):
    """Fuses BnnQuantize into the op in front of it."""

    name = "emit bits"

    def match(self, graph: Graph, op: Op) -> EmitMatch | None:
        if op.kind != "BnnQuantize":
            return None
        y = op.input(0)
        packed = float_producer(y)
        if packed is None or y is None:
            return None
        keeps_values = graph.only_user(y) is not op
        steps, operands = _steps_before_sign(op)
        if keeps_values and steps:
            steps = (FIRST_OUTPUT, *steps)
        if len(steps_of(packed.options)) + len(steps) > MOST_STEPS:
            return None
        return EmitMatch(op, packed, steps, operands, keeps_values)

    def rewrite(self, graph: Graph, match: EmitMatch) -> None:
        packed = match.packed
        inputs = (*packed.inputs, *match.operands)
        options = with_steps(packed.options, (*steps_of(packed.options), *match.steps))
        if match.keeps_values:
            graph.morph(packed, packed.kind, inputs, options)
            graph.join(packed, match.op)
            return
        graph.morph(packed, packed.kind, inputs, options)
        graph.absorb(packed, match.op)
        x = packed.input(0)
        if x is not None and x.type_name != "float32":
            _use_thresholds(graph, packed)


def _steps_before_sign(quantize: Op) -> tuple[tuple[int, ...], tuple[Tensor, ...]]:
    """Returns the multiplier and bias of a BnnQuantize as steps, those that change nothing left out."""
    steps, operands = [], []
    for step, operand, neutral in zip((MUL, ADD), quantize.inputs[1:], (1, 0), strict=False):
        assert operand is not None
        if np.any(operand.values != neutral):
            steps.append(step)
            operands.append(operand)
    return tuple(steps), tuple(operands)


def _use_thresholds(graph: Graph, packed: Op) -> None:
    """Replaces all that comes after an exact sum by thresholds, unless its operands are computed or turn its order."""
    x, weights = packed.inputs[:2]
    assert x is not None
    assert weights is not None
    values = [constant(tensor) for tensor in packed.inputs[2:]]
    if any(value is None for value in values):
        return
    multiplier, bias, *operands = values
    steps = [(step, operands.pop(0) if step in STEPS_WITH_OPERAND else None) for step in steps_of(packed.options)]
    found = find_thresholds(
        multiplier,  # type: ignore[arg-type]
        bias,  # type: ignore[arg-type]
        _largest_sum(packed, x, weights),
        activation=packed.options["activation"],
        pre_activation=packed.options["pre_activation"],
        steps=steps,
    )
    if found is None:
        return
    thresholds, flipped = found
    name = weights.name
    if flipped.any():
        weights = graph.add_constant(name, weights.values ^ _flips(packed, x, weights, flipped))
    plain = packed.options | {"activation": NO_ACTIVATION, "pre_activation": NO_ACTIVATION, "steps": 0}
    constants = [weights, graph.add_constant(f"{name.removesuffix('weights')}thresholds", thresholds)]
    graph.morph(packed, packed.kind, [x, *constants], plain)


def _largest_sum(packed: Op, x: Tensor, weights: Tensor) -> int:
    """The largest absolute value of an accumulator: its products, padded taps included, times the largest x."""
    largest = {"int8": 255, "uint8": 255}.get(x.type_name, 1)
    if packed.kind == "BnnDepthwiseConv2D":
        return math.prod(weights.dims[:2])
    taps = 1 if packed.kind == "BnnFullyConnected" else math.prod(weights.dims[1:3])
    return largest * taps * packed.options["channels_in"] // packed.options.get("groups", 1)


def _flips(packed: Op, x: Tensor, weights: Tensor, flipped: Array) -> Array:
    """The bits of the weights to turn over, so that the sums of the flipped channels change their sign."""
    if packed.kind == "BnnDepthwiseConv2D":
        return pack_signs(flipped)
    flips = np.where(flipped, -1, 0).astype(np.int32).reshape(-1, *[1] * (len(weights.dims) - 1))
    return flips & _used_bits(packed, x, weights)


def _used_bits(packed: Op, x: Tensor, weights: Tensor) -> Array:
    """The bits in use of a row of weights, as words; a dense op reads pixels with unused bits between them."""
    channels = packed.options["channels_in"]
    if packed.kind == "BnnFullyConnected":
        pixels = weights.dims[1] // x.dims[-1] if x.type_name == "int32" else 1
        return np.tile(pack_signs(np.ones(channels // pixels, np.bool_)), pixels)
    return pack_signs(np.ones(channels // packed.options.get("groups", 1), np.bool_))
