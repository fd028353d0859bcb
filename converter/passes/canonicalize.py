"""SUB, DIV and NEG with constants become the ADD and MUL that compute the same, bit for bit.

x - c = x + (-c)      c - x = x * -1 + c      -x = x * -1      x / c = x * (1 / c)  where c is a power of two

So what is left of a batch normalization is MUL and ADD for the passes that fold it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..custom_ops import PACKED_KERNEL_OPS
from ..graph import Array, Graph, Op, Tensor
from ..patterns import constant_operand
from ..schema import schema
from .base import Match, Pass

_ELEMENTWISE = ("ADD", "DIV", "LEAKY_RELU", "MAX_POOL_2D", "MUL", "NEG", "PRELU", "RELU", "RELU6", "RESHAPE", "SUB")


@dataclass(frozen=True)
class ArithmeticMatch(Match):
    """An op, the operand that is computed, and the constants that x is multiplied by and that are added, if any."""

    x: Tensor
    factor: Array | None = None
    term: Array | None = None


class Canonicalize(Pass[ArithmeticMatch]):
    """Writes SUB, DIV and NEG as MUL and ADD behind packed ops and in front of bits; elsewhere they stay."""

    name = "canonicalize"

    def match(self, graph: Graph, op: Op) -> ArithmeticMatch | None:
        match = _arithmetic(op)
        if match is None or match.x.type_name != "float32":
            return None
        is_foldable = graph.only_user(match.x) is op and _is_behind_packed(match.x)
        return match if is_foldable or _is_before_bits(op.output) else None

    def rewrite(self, graph: Graph, match: ArithmeticMatch) -> None:
        op, x = match.op, match.x
        activation = getattr(op.options, "fusedActivationFunction", schema.ActivationFunctionType.NONE)
        if match.factor is not None and match.term is not None:
            scaled = graph.add_tensor(f"{op.name}/scaled", x.dims)
            factor = graph.add_constant(f"{scaled.name}/factor", match.factor)
            graph.add_op("MUL", [x, factor], [scaled], schema.MulOptionsT(), before=op)
            x = scaled
        options = schema.MulOptionsT() if match.term is None else schema.AddOptionsT()
        options.fusedActivationFunction = activation
        values = graph.add_constant(f"{op.name}/operand", match.factor if match.term is None else match.term)
        graph.morph(op, "MUL" if match.term is None else "ADD", [x, values], options)


def _arithmetic(op: Op) -> ArithmeticMatch | None:
    x = op.input(0)
    if op.kind == "NEG" and x is not None:
        return ArithmeticMatch(op, x, factor=np.array(-1, np.float32))
    operand = constant_operand(op) if op.kind in ("DIV", "SUB") else None
    if operand is None:
        return None
    x, values = operand
    if op.kind == "SUB" and op.input(0) is x:
        return ArithmeticMatch(op, x, term=np.negative(values))
    if op.kind == "SUB":
        return ArithmeticMatch(op, x, factor=np.array(-1, np.float32), term=values)
    if op.input(0) is x and _has_exact_inverse(values):
        return ArithmeticMatch(op, x, factor=np.reciprocal(values))
    return None


def _has_exact_inverse(values: Array) -> bool:
    """Whether 1 / c is a float for every c: powers of two whose inverses have full precision too."""
    mantissas, exponents = np.frexp(values)
    return bool(np.all(np.abs(mantissas) == 0.5) and np.all(np.abs(exponents) < 125))


def _is_behind_packed(tensor: Tensor) -> bool:
    op = tensor.producer
    while op is not None and op.kind in _ELEMENTWISE:
        operand = constant_operand(op) if op.kind in ("ADD", "DIV", "MUL", "SUB") else None
        source = operand[0] if operand is not None else op.input(0)
        op = source.producer if source is not None else None
    return op is not None and op.kind in PACKED_KERNEL_OPS


def _is_before_bits(tensor: Tensor) -> bool:
    pending, seen = [tensor], {tensor}  # residual networks reach most tensors on many ways
    while pending:
        source = pending.pop()
        for user in source.users:
            if user.kind == "BnnQuantize":
                return True
            reads_values = user.input(0) is source or user.kind in ("ADD", "MUL")
            if user.kind in _ELEMENTWISE and reads_values and user.output not in seen:
                seen.add(user.output)
                pending.append(user.output)
    return False
