"""Places that compute what they need not: signs that are constant, binary weights that read numbers."""

from __future__ import annotations

import numpy as np

from .custom_ops import FIRST_OUTPUT, RELU, RELU6, STEP_RELU, STEP_RELU6, steps_of
from .graph import Graph, Op, Tensor
from .kernel_shape import BITS_KERNEL_OPS, KERNEL_OPS
from .larq_ops import LCE_QUANTIZE
from .limits import find_limits
from .passes import Refusal
from .patterns import binary_kernel, data_input, is_signed, sign_input, uniform
from .tensor_bits import value_bits

_NEVER_NEGATIVE = {
    **{"ABS": "absolute value", "EXP": "exponential", "LOGISTIC": "sigmoid", "RELU": "ReLU"},
    **{"RELU6": "ReLU6", "RELU_0_TO_1": "ReLU 0 to 1", "SOFTMAX": "softmax", "SQRT": "square root", "SQUARE": "square"},
}
_KEEPS_SIGN = {"AVERAGE_POOL_2D", "EXPAND_DIMS", "MAX_POOL_2D", "MEAN", "PAD", "PADV2", "RESHAPE", "SQUEEZE"}
_FUSED = {RELU: "ReLU", RELU6: "ReLU6"}
_STEPS = {STEP_RELU: "ReLU", STEP_RELU6: "ReLU6"}


def find_advice(graph: Graph) -> list[tuple[Op, Refusal]]:
    """Returns each op of a graph, packed or not, that computes what it need not, with the reason and the remedy."""
    return [*find_constant_signs(graph), *find_constant_channels(graph), *find_real_inputs(graph)]


def find_constant_signs(graph: Graph) -> list[tuple[Op, Refusal]]:
    """Returns the signs of numbers that are never negative."""
    found = []
    for op in graph.ops:
        is_quantize = op.kind in ("BnnQuantize", LCE_QUANTIZE) and len(op.inputs) == 1
        x = op.input(0) if is_quantize else sign_input(op)
        culprit = _never_negative(x)
        if culprit:
            found.append((op, _constant_sign(culprit)))
            continue
        bits = [tensor for tensor in op.outputs if value_bits(tensor) == 1]
        if op.kind in BITS_KERNEL_OPS and bits and _own_activation(op, bits[0]):
            found.append((op, _constant_sign(f"its own {_own_activation(op, bits[0])}")))
    return found


def find_constant_channels(graph: Graph) -> list[tuple[Op, Refusal]]:
    """Returns the packed ops all of whose channels give the same bit for every input."""
    found = []
    for op in graph.ops:
        limits = find_limits(op)
        if limits is None or not np.isinf(limits).all():
            continue
        plus = int((limits < 0).sum())
        given = {0: "-1", len(limits): "+1"}.get(plus, f"+1 ({plus} channels) or -1 ({len(limits) - plus})")
        found.append(
            (
                op,
                Refusal(
                    f"each of its {len(limits)} channels gives {given} for every input, whatever it reads",
                    "look for a ReLU before the sign behind it, and whether its batch normalization is trained",
                ),
            )
        )
    return found


def find_real_inputs(graph: Graph) -> list[tuple[Op, Refusal]]:
    """Returns the ops with a binary kernel that read numbers and are no first layer."""
    found = []
    for op in graph.ops:
        x = data_input(op) if op.kind in KERNEL_OPS else None
        if x is None or value_bits(x) == 1 or is_signed(x) or not _is_binary(op) or not _follows_kernel(x):
            continue
        reason = f"its weights are binary and its input is {x.type_name}, so that it adds numbers where signs need XNOR"
        found.append((op, Refusal(reason, "give the layer input_quantizer='ste_sign', unless it is meant so")))
    return found


def _constant_sign(culprit: str) -> Refusal:
    return Refusal(
        f"{culprit} before the sign makes the sign constant: nothing is below 0, and every bit is +1",
        "remove it, or put the sign in front of it",
    )


def _never_negative(tensor: Tensor | None) -> str:
    """Returns what makes a tensor never negative, for a sentence; "" where nothing is known to."""
    op = tensor.producer if tensor is not None else None
    if op is None or tensor is None:
        return ""
    activation = _own_activation(op, tensor) or _NEVER_NEGATIVE.get(op.kind, "")
    if activation:
        return f"the {activation} of {op.kind} {op.name.split(';')[0]}"
    if op.kind not in _KEEPS_SIGN or (op.kind == "PADV2" and not (uniform(op.input(2)) or 0) >= 0):
        return ""
    return _never_negative(op.input(0))


def _own_activation(op: Op, output: Tensor) -> str:
    """Returns the name of a ReLU that an op applies last to an output, or ""."""
    if not op.is_packed:
        return _FUSED.get(getattr(op.options, "fusedActivationFunction", 0), "")
    if op.kind not in BITS_KERNEL_OPS:
        return ""
    steps = steps_of(op.options)
    if FIRST_OUTPUT in steps and value_bits(output) != 1:
        steps = steps[: steps.index(FIRST_OUTPUT)]
    steps = tuple(step for step in steps if step != FIRST_OUTPUT)
    return _STEPS.get(steps[-1], "") if steps else _FUSED.get(op.options["activation"], "")


def _is_binary(op: Op) -> bool:
    if op.kind in BITS_KERNEL_OPS:
        return True
    kernel = binary_kernel(op)
    return kernel is not None and kernel.shows_signs


def _follows_kernel(tensor: Tensor) -> bool:
    """Whether a kernel is among what computes the tensor."""
    pending, seen = [tensor], {tensor}
    while pending:
        op = pending.pop().producer
        if op is None:
            continue
        if op.kind in KERNEL_OPS:
            return True
        new = {source for source in op.inputs if source is not None} - seen
        seen |= new
        pending += new
    return False
