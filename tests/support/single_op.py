"""Files of one custom op, described by plain values, so that a test can change one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from format_reference import pack

from support import draw
from support.draw import PACKED
from support.model_builder import ModelBuilder


@dataclass(frozen=True)
class SingleOp:
    """One custom op between the file's input and its output; `build` writes the file.

    The output's shape in the file is a placeholder: the op sizes its output.
    """

    name: str
    kind: str
    shape: tuple[int, ...]  # of x in the file, so words for a packed x
    options: Mapping[str, object] | bytes
    constants: Sequence[np.ndarray] = ()
    output: type = np.float32
    scales: Sequence[float] | None = (0.05,)  # of an int8 or uint8 x; the zero points are all `zero_point`
    zero_point: int = 3  # not 0, so that forgetting it shows
    version: int = 1
    is_input: int | None = None  # the place in `constants` that the file leaves to the user

    def build(self) -> bytes:
        builder = ModelBuilder()
        scales = self.scales if self.kind in ("int8", "uint8") else None
        x = builder.tensor(self.shape, draw.DTYPES[self.kind], scales, self.zero_point)
        fed, arguments = [x], [x]
        for place, values in enumerate(self.constants):
            if place == self.is_input:
                arguments.append(builder.tensor(values.shape, values.dtype.type))
                fed.append(arguments[-1])
            else:
                arguments.append(builder.constant(values))
        output = builder.tensor((1,), self.output)
        builder.custom(self.name, arguments, [output], self.options, self.version)
        return builder.build(fed, [output])


def conv2d(
    kind: str, shape: Sequence[int], kernel: np.ndarray, parameters: Sequence[np.ndarray], **options: int
) -> SingleOp:
    """BnnConv2D on `shape` in channels with a kernel of +1 and -1 `[O, kh, kw, C / groups]`; padding SAME if not given.

    The output is packed when `parameters` are thresholds, else float32.
    """
    required = {"version": 1, "channels_in": shape[-1], "padding": 0}
    return _layer("BnnConv2D", kind, shape, kernel, parameters, {**required, **options})


def depthwise_conv2d(
    shape: Sequence[int], kernel: np.ndarray, parameters: Sequence[np.ndarray], **options: int
) -> SingleOp:
    """BnnDepthwiseConv2D on packed `shape` in channels with a kernel of +1 and -1 `[kh, kw, O]`.

    The padding is SAME if not given.
    """
    required = {"version": 1, "channels_in": shape[-1], "padding": 0}
    return _layer("BnnDepthwiseConv2D", PACKED, shape, kernel, parameters, {**required, **options})


def transpose_conv2d(
    shape: Sequence[int], kernel: np.ndarray, parameters: Sequence[np.ndarray], **options: int
) -> SingleOp:
    """BnnTransposeConv2D on packed `shape` in channels with a kernel of +1 and -1 `[O, kh, kw, C]`."""
    required = {"version": 1, "channels_in": shape[-1]}
    return _layer("BnnTransposeConv2D", PACKED, shape, kernel, parameters, {**required, **options})


def fully_connected(
    kind: str, shape: Sequence[int], kernel: np.ndarray, parameters: Sequence[np.ndarray], **options: int
) -> SingleOp:
    """BnnFullyConnected on `shape` in channels with a kernel of +1 and -1 `[O, C]`."""
    required = {"version": 1, "channels_in": kernel.shape[-1]}
    return _layer("BnnFullyConnected", kind, shape, kernel, parameters, {**required, **options})


def _layer(
    name: str,
    kind: str,
    shape: Sequence[int],
    kernel: np.ndarray,
    parameters: Sequence[np.ndarray],
    options: Mapping[str, int],
) -> SingleOp:
    output = np.int32 if len(parameters) == 1 else np.float32
    last = math.ceil(shape[-1] / 32) if kind == PACKED else shape[-1]
    return SingleOp(name, kind, (*shape[:-1], last), options, [pack(kernel), *parameters], output)
