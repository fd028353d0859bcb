"""What stands behind a packed op, element by element, becomes one of its steps: above all the sum with a shortcut.

A residual block is CONV, ADD(shortcut), perhaps PReLU with shifts around it; as steps of one op it needs no pass over
memory of its own. The arithmetic is that of the ops, each rounded once, so no value changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..custom_ops import (
    ADD,
    DIV,
    MOST_STEPS,
    MUL,
    PRELU,
    STEP_RELU,
    STEP_RELU6,
    STEP_RELU_N1_TO_1,
    steps_of,
    with_steps,
)
from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant
from .base import Match, Pass, float_producer, per_channel_values

_WITH_OPERAND = {"ADD": ADD, "DIV": DIV, "MUL": MUL, "PRELU": PRELU}
_COMMUTES = ("ADD", "MUL")
_ACTIVATIONS = {"RELU": STEP_RELU, "RELU_N1_TO_1": STEP_RELU_N1_TO_1, "RELU6": STEP_RELU6}
_FUSED_ACTIVATIONS = {0: (), 1: (STEP_RELU,), 2: (STEP_RELU_N1_TO_1,), 3: (STEP_RELU6,)}


@dataclass(frozen=True)
class StepMatch(Match):
    """An op, the packed op that takes it over, the steps, and their operand if there is one."""

    packed: Op
    steps: tuple[int, ...]
    operand: Tensor | Array | None


class FoldStep(Pass[StepMatch]):
    """Folds element-wise ops behind packed ops."""

    name = "fold step"

    def match(self, graph: Graph, op: Op) -> StepMatch | None:
        if op.kind not in _WITH_OPERAND and op.kind not in _ACTIVATIONS:
            return None
        for index in (0, 1) if op.kind in _COMMUTES else (0,):
            y = op.input(index)
            packed = float_producer(y)
            if packed is None or y is None or graph.only_user(y) is not op or op.output.dims != y.dims:
                continue
            match = _match(op, packed, y, op.input(1 - index))
            if match is not None:
                return match
        return None

    def rewrite(self, graph: Graph, match: StepMatch) -> None:
        op, packed, operand = match.op, match.packed, match.operand
        inputs = list(packed.inputs)
        if isinstance(operand, Tensor):
            inputs.append(operand)
        elif operand is not None:
            inputs.append(graph.add_constant(f"{op.name}/operand", operand))
        options = with_steps(packed.options, (*steps_of(packed.options), *match.steps))
        graph.morph(op, packed.kind, inputs, options)  # at the place of op, where its operand is computed


def _match(op: Op, packed: Op, y: Tensor, other: Tensor | None) -> StepMatch | None:
    if op.kind in _ACTIVATIONS:
        steps: tuple[int, ...] = (_ACTIVATIONS[op.kind],)
        operand: Tensor | Array | None = None
    else:
        fused = _FUSED_ACTIVATIONS.get(getattr(op.options, "fusedActivationFunction", 0))
        if other is None or fused is None:
            return None
        steps = (_WITH_OPERAND[op.kind], *fused)
        values = constant(other)
        operand = other if values is None else per_channel_values(values, y.dims[-1])
        if operand is None or (values is None and (op.kind == "PRELU" or not _is_operand(other, y, packed))):
            return None
    if len(steps_of(packed.options)) + len(steps) > MOST_STEPS:
        return None
    return StepMatch(op, packed, steps, operand)


def _is_operand(tensor: Tensor, y: Tensor, packed: Op) -> bool:
    """Whether a computed tensor has y's shape, or one value per image and channel."""
    if tensor.type_name != "float32" or tensor is y:
        return False
    per_image = (y.dims[0], 1, 1, y.dims[-1])
    return tensor.dims == y.dims or (packed.kind != "BnnFullyConnected" and tensor.dims == per_image)
