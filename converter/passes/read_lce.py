"""Custom ops of Larq Compute Engine become those of docs/format.md.

Both keep the same bits: a set bit is -1, channels are innermost, and unused bits are 0. So weights are taken over as
they are. What differs is the threshold. Larq Compute Engine compares the number m of differing bits, and with n
products in a sum acc = n - 2m:

    m > threshold        is        acc < n - 2 * threshold
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flatbuffers import flexbuffers

from ..bits import WORD_BITS, pack_signs, words_for
from ..custom_ops import ACTIVATIONS, NO_ACTIVATION, SAME, VALID
from ..graph import Array, Graph, Op, Tensor
from ..larq_ops import LCE_CONV
from ..schema import schema
from ..thresholds import ALWAYS_NEGATIVE, ALWAYS_POSITIVE
from .base import Match, Pass, Refusal

_CONV_OPTIONS = {
    "channels_in": "channels_in",
    "stride_height": "stride_h",
    "stride_width": "stride_w",
    "dilation_height_factor": "dilation_h",
    "dilation_width_factor": "dilation_w",
    "padding": "padding",
    "pad_values": "pad_value",
    "fused_activation_function": "pre_activation",
}
_POOL_OPTIONS = {
    "filter_height": "window_h",
    "filter_width": "window_w",
    "stride_height": "stride_h",
    "stride_width": "stride_w",
    "padding": "padding",
}
_ALLOWED = {  # all others are at least 1
    "padding": (SAME, VALID),
    "pad_values": (0, 1),
    "fused_activation_function": tuple(ACTIVATIONS),
}
_OUTPUT_CHANNEL = "one value for each output channel"


class _UnreadableError(Exception):
    """What is wrong with an op that Larq Compute Engine would refuse too."""


@dataclass(frozen=True)
class LceMatch(Match):
    """What an op of Larq Compute Engine becomes: inputs behind the first are tensors that stay, or named new values."""

    kind: str
    options: dict[str, int]
    parameters: tuple[Tensor | tuple[str, Array], ...] = ()


class ReadLce(Pass[LceMatch]):
    """Reads LceQuantize, LceDequantize, LceBconv2d and LceBMaxPool2d."""

    name = "read lce"

    def match(self, graph: Graph, op: Op) -> LceMatch | Refusal | None:
        read = _READERS.get(op.kind)
        if read is None:
            return None
        try:
            return read(op)
        except _UnreadableError as error:
            return Refusal(str(error), "convert the model with Larq Compute Engine again")

    def rewrite(self, graph: Graph, match: LceMatch) -> None:
        op, x = match.op, match.op.input(0)
        assert x is not None
        if x.type_name == "bool":
            x = _signs_of(graph, op, x)
        inputs = [x]
        for parameter in match.parameters:
            if isinstance(parameter, Tensor):
                inputs.append(parameter)
            else:
                name, values = parameter
                inputs.append(graph.add_constant(f"{op.name}/{name}", values))
        if match.kind == "BnnDequantize" and op.output.type_name == "bool":
            _compare_behind(graph, op)
        graph.morph(op, match.kind, inputs, match.options)


def _read_quantize(op: Op) -> LceMatch:
    (x,), y = _present(op, 1), op.output
    _require(x.type_name in ("float32", "int8", "bool"), f"it reads {x.type_name}, expected float32, int8 or bool")
    _require(x.dims != () and x.dims[-1] > 0 and y.type_name == "int32", "the number of its channels is not known")
    return LceMatch(op, "BnnQuantize", {})


def _read_dequantize(op: Op) -> LceMatch:
    (x,), y = _present(op, 1), op.output
    _require(y.type_name in ("float32", "int8", "bool"), f"it gives {y.type_name}, expected float32, int8 or bool")
    _require(y.dims != () and y.dims[-1] > 0, "the number of its channels is not known")
    _require(x.type_name == "int32" and x.dims[-1] == words_for(y.dims[-1]), f"it reads {x} for {y.dims[-1]} channels")
    return LceMatch(op, "BnnDequantize", {"channels": y.dims[-1]})


def _read_max_pool(op: Op) -> LceMatch:
    (x,) = _present(op, 1)
    _require(x.type_name == "int32" and len(x.dims) == 4, f"it reads {x}, expected int32 and 4 dimensions")
    return LceMatch(op, "BnnMaxPool2D", _read_options(op, _POOL_OPTIONS))


def _read_convolution(op: Op) -> LceMatch:
    x, weights = _present(op, 2)
    options = _read_options(op, _CONV_OPTIONS)
    channels = options["channels_in"]
    _require(weights.is_constant and weights.type_name == "int32" and len(weights.dims) == 4, f"its weights: {weights}")
    _require(x.type_name == "int32" and len(x.dims) == 4 and x.dims[3] == words_for(channels), f"it reads {x}")
    options["groups"] = _groups(channels, weights)
    used = pack_signs(np.ones(channels // options["groups"], np.bool_))
    _require(not (weights.values & ~used).any(), f"its weights have more bits than {channels} channels")
    if options["padding"] == VALID:
        options["pad_value"] = 0
    if op.output.type_name != "int32":
        multiplier = _channel_parameter(op, 2, "multiplier", 1.0)
        bias = _channel_parameter(op, 3, "bias", 0.0)
        return LceMatch(op, "BnnConv2D", options, (weights, multiplier, bias))
    thresholds = op.input(4)
    _require(thresholds is not None, "it gives bits and has no thresholds")
    assert thresholds is not None
    _require(
        _is_per_channel(thresholds, weights, "int32"), f"its thresholds are {thresholds}, expected {_OUTPUT_CHANNEL}"
    )
    options["pre_activation"] = NO_ACTIVATION  # the thresholds contain it
    products = math.prod(weights.dims[1:3]) * channels // options["groups"]
    return LceMatch(op, "BnnConv2D", options, (weights, ("thresholds", _thresholds(thresholds.values, products))))


_READERS: dict[str, Callable[[Op], LceMatch]] = {
    "LceQuantize": _read_quantize,
    "LceDequantize": _read_dequantize,
    "LceBMaxPool2d": _read_max_pool,
    LCE_CONV: _read_convolution,
}


def _read_options(op: Op, names: Mapping[str, str]) -> dict[str, int]:
    try:
        options = flexbuffers.Loads(bytes(op.options))
    except Exception as error:  # on damaged bytes flexbuffers raises whatever Python's struct and indexing do
        raise _UnreadableError("its options are damaged") from error
    _require(isinstance(options, dict), "its options are damaged")
    for key in names:
        value, allowed = options.get(key), _ALLOWED.get(key)
        is_valid = isinstance(value, int) and (value >= 1 if allowed is None else value in allowed)
        _require(is_valid, f"its option {key!r} is {value!r}")
    return {ours: options[key] for key, ours in names.items()}


def _groups(channels: int, weights: Tensor) -> int:
    """Files do not tell the number of groups; groups are whole words, so the size of the weights does."""
    words, outputs = weights.dims[3], weights.dims[0]
    if words == words_for(channels):
        return 1
    groups = channels // (words * WORD_BITS) if words else 0
    fits = groups > 0 and groups * words * WORD_BITS == channels and outputs % groups == 0
    _require(fits, f"its weights have {words} words a pixel and {outputs} outputs, for {channels} input channels")
    return groups


def _thresholds(thresholds: Array, products: int) -> Array:
    translated = np.clip(products - 2 * thresholds.astype(np.int64), ALWAYS_POSITIVE, ALWAYS_NEGATIVE)
    translated[thresholds >= products] = ALWAYS_POSITIVE
    translated[thresholds < 0] = ALWAYS_NEGATIVE
    return translated.astype(np.int32)


def _channel_parameter(op: Op, index: int, name: str, default: float) -> Tensor | tuple[str, Array]:
    weights, tensor = op.input(1), op.input(index)
    assert weights is not None
    if tensor is None:
        return name, np.full(weights.dims[0], default, np.float32)
    _require(_is_per_channel(tensor, weights, "float32"), f"its {name} is {tensor}, expected {_OUTPUT_CHANNEL}")
    return tensor


def _is_per_channel(tensor: Tensor, weights: Tensor, type_name: str) -> bool:
    return tensor.is_constant and tensor.type_name == type_name and tensor.dims == weights.dims[:1]


def _present(op: Op, count: int) -> Sequence[Tensor]:
    present = [tensor for tensor in op.inputs[:count] if tensor is not None]
    _require(
        len(present) == count and len(op.outputs) == 1, f"it has {len(op.inputs)} inputs, {len(op.outputs)} outputs"
    )
    return present


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _UnreadableError(message)


def _signs_of(graph: Graph, op: Op, condition: Tensor) -> Tensor:
    """BnnQuantize reads numbers: +1 where the condition holds, else -1."""
    signs = graph.add_tensor(f"{op.name}/signs", condition.dims)
    values = [graph.add_constant(f"{signs.name}/{name}", np.float32(value)) for name, value in (("+", 1), ("-", -1))]
    graph.add_op("SELECT_V2", [condition, *values], [signs], schema.SelectV2OptionsT(), before=op)
    return signs


def _compare_behind(graph: Graph, op: Op) -> None:
    """BnnDequantize gives numbers: the condition is that they are not below 0."""
    condition = op.output
    signs = graph.add_tensor(f"{op.name}/signs", condition.dims)
    zero = graph.add_constant(f"{signs.name}/zero", np.float32(0))
    after = graph.ops.after(op)
    graph.release(op, signs)
    graph.add_op("GREATER_EQUAL", [signs, zero], [condition], schema.GreaterEqualOptionsT(), before=after)
