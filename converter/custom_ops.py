"""The custom ops of docs/format.md and their options, the one place where Python knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flatbuffers import flexbuffers

FORMAT_VERSION = 1
"""Version of docs/format.md that is written."""

OP_VERSION = 1
"""Version number of the custom ops in the file."""

SAME, VALID, EXPLICIT = 0, 1, 2
NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6 = ACTIVATIONS = range(4)

ADD, MUL, DIV, PRELU, STEP_RELU, STEP_RELU_N1_TO_1, STEP_RELU6, FIRST_OUTPUT = range(1, 9)
"""Digits of the option `steps`."""

STEPS_WITH_OPERAND = (ADD, MUL, DIV, PRELU)
MOST_STEPS = 15

PACKED_KERNEL_OPS = ("BnnConv2D", "BnnDepthwiseConv2D", "BnnFullyConnected", "BnnTransposeConv2D")
"""The custom ops with a kernel."""

MOST_INTEGER_INPUTS = 2**22
"""The most int8 or uint8 inputs that a sum adds, so that it fits 32 bits (docs/format.md, "Limits")."""

_REQUIRED = None
_AFTER_SUMS = {"activation": NO_ACTIVATION, "pre_activation": NO_ACTIVATION, "steps": 0}
_AT_LEAST_1 = (
    *("channels", "channels_in", "groups", "window_h", "window_w"),
    *("stride_h", "stride_w", "dilation_h", "dilation_w"),
)
_MOST = {"padding": EXPLICIT, "pad_value": 1, "activation": RELU6, "pre_activation": RELU6}
_INT32_MAX = 2**31 - 1
_STRIDES = {"stride_h": 1, "stride_w": 1}
_PADS = {"pad_top": 0, "pad_bottom": 0, "pad_left": 0, "pad_right": 0}
_WINDOW = {**_STRIDES, "dilation_h": 1, "dilation_w": 1, "padding": _REQUIRED, **_PADS, "pad_value": 0}

OPTIONS: dict[str, dict[str, int | None]] = {
    "BnnQuantize": {},
    "BnnDequantize": {"channels": _REQUIRED},
    "BnnConv2D": {"channels_in": _REQUIRED, "groups": 1, **_WINDOW, **_AFTER_SUMS},
    "BnnDepthwiseConv2D": {"channels_in": _REQUIRED, **_WINDOW, **_AFTER_SUMS},
    "BnnFullyConnected": {"channels_in": _REQUIRED, **_AFTER_SUMS},
    "BnnTransposeConv2D": {"channels_in": _REQUIRED, **_STRIDES, **_PADS, **_AFTER_SUMS},
    "BnnMaxPool2D": {"window_h": _REQUIRED, "window_w": _REQUIRED, **_STRIDES, "padding": _REQUIRED},
}
"""Option keys of each custom op with their defaults; None marks a key that must be given. `version` is implied."""


def fill_options(kind: str, options: Any) -> Any:
    """Returns the options of a custom op with their defaults; those of any other op as they are."""
    if kind not in OPTIONS:
        return options
    unknown = sorted(set(options) - set(OPTIONS[kind]))
    if unknown:
        raise ValueError(f"{kind} has no option {unknown[0]!r}; its options are {', '.join(OPTIONS[kind])}.")
    return {key: options.get(key, default) for key, default in OPTIONS[kind].items()}


def encode_options(kind: str, options: Mapping[str, int]) -> bytes:
    """Returns the flexbuffer map of an op, keys in sorted order; what has its default is left out, to save space.

    Args:
        kind: The custom op's name.
        options: Values of its keys; keys with a default may be left out.

    Raises:
        ValueError: for an unknown or a missing key.
    """
    full = fill_options(kind, options)
    missing = sorted(key for key, value in full.items() if value is None)
    if missing:
        raise ValueError(f"{kind} needs the option {missing[0]!r}.")
    written = {key: int(value) for key, value in full.items() if value != OPTIONS[kind][key]}
    written["version"] = FORMAT_VERSION
    return bytes(flexbuffers.Dumps({key: written[key] for key in sorted(written)}))


def decode_options(kind: str, data: Any) -> dict[str, int]:
    """Returns all options of an op, defaults filled in, without `version`.

    Args:
        kind: The custom op's name.
        data: The bytes of its flexbuffer map, or None.

    Raises:
        ValueError: for bytes that are no map, another format version, or an option that this version does not have.
    """
    try:
        options = flexbuffers.Loads(bytes(data))
    except Exception as error:  # on damaged bytes flexbuffers raises whatever Python's struct and indexing do
        raise ValueError(f"The options of {kind} are damaged: convert the float model again.") from error
    if not isinstance(options, dict) or options.get("version") != FORMAT_VERSION:
        raise ValueError(
            f"{kind} is not written in version {FORMAT_VERSION} of the packed format: update keras-bnn, or convert the "
            "float model again."
        )
    del options["version"]
    unknown = sorted(set(options) - set(OPTIONS.get(kind, {})))
    if kind not in OPTIONS or unknown:
        what = f"the option {unknown[0]!r} of {kind}" if kind in OPTIONS else f"the op {kind}"
        raise ValueError(f"{what} is not known to this keras-bnn: update keras-bnn, or convert the float model again.")
    filled = dict(fill_options(kind, options))
    for key, value in filled.items():
        least, most = _least(kind, key, filled), _MOST.get(key, _INT32_MAX)
        if type(value) is not int or not (_are_steps(value) if key == "steps" else least <= value <= most):
            expected = "steps of docs/format.md" if key == "steps" else f"an integer from {least} to {most}"
            raise ValueError(
                f"The option {key!r} of {kind} is {value!r}, expected {expected}: convert the float model again."
            )
    return filled


def _are_steps(value: int) -> bool:
    digits = f"{value:x}" if value else ""
    return value >= 0 and len(digits) <= MOST_STEPS and all("1" <= digit <= "8" for digit in digits)


def steps_of(options: Mapping[str, int]) -> tuple[int, ...]:
    """Returns the digits of the option `steps`, the first step first."""
    digits = f"{options['steps']:x}" if options["steps"] else ""
    return tuple(int(digit, 16) for digit in reversed(digits))


def with_steps(options: Mapping[str, int], steps: Sequence[int]) -> dict[str, int]:
    """Returns the options with other steps."""
    return {**options, "steps": sum(step << (4 * place) for place, step in enumerate(steps))}


def _least(kind: str, key: str, options: Mapping[str, int]) -> int:
    if key in _AT_LEAST_1:
        return 1
    if kind == "BnnTransposeConv2D" and key in ("pad_bottom", "pad_right"):
        return 1 - options["stride_h" if key == "pad_bottom" else "stride_w"]
    return -1 if key == "pad_value" else 0
