"""Random packed networks: chains of the custom ops with random shapes, options, weights and thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from format_reference import EXPLICIT, SAME, VALID, pack

from support import draw
from support.draw import PACKED
from support.model_builder import ModelBuilder

# What each op takes as x.
_KINDS = {
    "BnnQuantize": ("float32", "int8"),
    "BnnDequantize": (PACKED,),
    "BnnConv2D": ("float32", "int8", "uint8", PACKED),
    "BnnFullyConnected": ("float32", "int8", "uint8", PACKED),
    "BnnMaxPool2D": (PACKED,),
    "BnnDepthwiseConv2D": (PACKED,),
    "BnnTransposeConv2D": (PACKED,),
}
OPS = tuple(_KINDS)
_IMAGE_OPS = ("BnnConv2D", "BnnDepthwiseConv2D", "BnnMaxPool2D", "BnnTransposeConv2D")
_LARGEST_TO_TRANSPOSE = 12  # pixels, so that chains of them stay small
_SHARE = {"BnnConv2D": 3, "BnnFullyConnected": 2}


@dataclass(frozen=True)
class Network:
    """A packed file with the input that it takes, and one line per op that tells what it is."""

    model: bytes
    description: str
    kind: str
    shape: tuple[int, ...]  # of the input, in channels
    seed: int

    def inputs(self, batch: int | None = None) -> list[np.ndarray]:
        """The same inputs on every call, for the file's own batch or another one."""
        shape = self.shape if batch is None else (batch, *self.shape[1:])
        return [draw.inputs(np.random.default_rng(self.seed), self.kind, shape)]


def random_network(random: Random, length: int, ops: Sequence[str] = OPS) -> Network:
    """Draw a chain of at most `length` ops out of `ops`; it ends early where none of them fits.

    `random` decides everything, so `Random(seed)` repeats a network and hypothesis can shrink one.
    """
    first = random.choices(ops, [_SHARE.get(op, 1) for op in ops])[0]
    kind = random.choice(_KINDS[first])
    inner = 2 if first in _IMAGE_OPS else random.randint(0, 2)
    shape = (random.randint(1, 3), *(random.randint(1, 8) for _ in range(inner)), random.choice(draw.CHANNELS))
    chain = _Chain(random, kind, shape)
    chain.add(first)
    for _ in range(length - 1):
        fitting = [op for op in ops if chain.takes(op)]
        if not fitting:
            break
        chain.add(random.choices(fitting, [_SHARE.get(op, 1) for op in fitting])[0])
    return chain.network()


class _Chain:
    """The network so far. Of the tensor at its end: `_kind`, `_shape` in channels, `_largest` absolute value."""

    def __init__(self, random: Random, kind: str, shape: tuple[int, ...]) -> None:
        self._random = random
        self._seed = random.getrandbits(32)
        self._rng = np.random.default_rng(self._seed + 1)
        self._builder = ModelBuilder()
        self._lines: list[str] = []
        self._input_kind, self._input_shape = kind, shape
        self._end = self._input = self._new_tensor(kind, shape, draw.LARGEST_INPUT[kind])

    def takes(self, op: str) -> bool:
        if op in _IMAGE_OPS and len(self._shape) != 4:
            return False
        too_large = op == "BnnTransposeConv2D" and max(self._shape[1:3]) > _LARGEST_TO_TRANSPOSE
        return self._kind in _KINDS[op] and not too_large

    def add(self, op: str) -> None:
        {
            "BnnQuantize": self._add_quantize,
            "BnnDequantize": self._add_dequantize,
            "BnnConv2D": self._add_conv2d,
            "BnnFullyConnected": self._add_fully_connected,
            "BnnMaxPool2D": self._add_max_pool_2d,
            "BnnDepthwiseConv2D": self._add_depthwise_conv2d,
            "BnnTransposeConv2D": self._add_transpose_conv2d,
        }[op]()

    def network(self) -> Network:
        model = self._builder.build([self._input], [self._end])
        return Network(model, "\n".join(self._lines), self._input_kind, self._input_shape, self._seed)

    def _new_tensor(self, kind: str, shape: tuple[int, ...], largest: float) -> int:
        self._kind, self._shape, self._largest = kind, shape, largest
        if kind == PACKED:
            shape = (*shape[:-1], math.ceil(shape[-1] / 32))
        if kind not in ("int8", "uint8"):
            return self._builder.tensor(shape, draw.DTYPES[kind])
        limits = np.iinfo(draw.DTYPES[kind])
        zero_point = self._random.choice([limits.min, limits.max, self._random.randint(limits.min, limits.max)])
        return self._builder.tensor(shape, draw.DTYPES[kind], [self._random.uniform(0.001, 0.1)], zero_point)

    def _append(
        self,
        op: str,
        options: dict[str, int],
        kind: str,
        shape: tuple[int, ...],
        constants: Sequence[np.ndarray] = (),
        largest: float = 1.0,
    ) -> None:
        before = f"{op} {self._kind} {list(self._shape)}"
        inputs = [self._end, *(self._builder.constant(values) for values in constants)]
        self._end = self._new_tensor(kind, shape, largest)
        self._builder.custom(op, inputs, [self._end], options)
        self._lines.append(f"{before} -> {kind} {list(shape)} {options}")

    def _add_quantize(self) -> None:
        self._append("BnnQuantize", {"version": 1}, PACKED, self._shape)

    def _add_dequantize(self) -> None:
        self._append("BnnDequantize", {"version": 1, "channels": self._shape[-1]}, "float32", self._shape)

    def _add_conv2d(self) -> None:
        random = self._random
        batch, _, _, channels = self._shape
        groups = draw.divisor(random, channels)
        channels_out = groups * random.choice([1, 2, 3, 31, 32, 33, 65] if groups < 4 else [1, 2, 3])
        padding, rows, columns, optional = self._windows()
        optional["groups"] = (groups, 1)
        kernel = draw.signs(self._rng, (channels_out, rows.taps, columns.taps, channels // groups))
        shape = (batch, rows.outputs, columns.outputs, channels_out)
        self._append_product("BnnConv2D", {"channels_in": channels, "padding": padding}, optional, pack(kernel), shape)

    def _windows(self) -> tuple[int, draw.Axis, draw.Axis, dict[str, tuple[int, int]]]:
        """A padding, and windows along both axes with their options."""
        padding = self._random.choice([SAME, VALID, EXPLICIT])
        rows, columns = (draw.axis(self._random, length, padding) for length in self._shape[1:3])
        optional = {
            "stride_h": (rows.stride, 1),
            "stride_w": (columns.stride, 1),
            "dilation_h": (rows.dilation, 1),
            "dilation_w": (columns.dilation, 1),
            "pad_top": (rows.pads[0], 0),
            "pad_bottom": (rows.pads[1], 0),
            "pad_left": (columns.pads[0], 0),
            "pad_right": (columns.pads[1], 0),
            "pad_value": (0 if self._kind in ("int8", "uint8") else self._random.choice([0, 1, -1]), 0),
        }
        return padding, rows, columns, optional

    def _add_depthwise_conv2d(self) -> None:
        batch, _, _, channels = self._shape
        channels_out = channels * self._random.choice([1, 1, 2, 3] if channels < 100 else [1])
        padding, rows, columns, optional = self._windows()
        weights = pack(draw.signs(self._rng, (rows.taps, columns.taps, channels_out)))
        shape = (batch, rows.outputs, columns.outputs, channels_out)
        self._append_product(
            "BnnDepthwiseConv2D", {"channels_in": channels, "padding": padding}, optional, weights, shape
        )

    def _add_transpose_conv2d(self) -> None:
        random = self._random
        batch, *image, channels = self._shape
        channels_out = random.choice([1, 2, 3, 31, 32, 33, 65])
        taps, strides = ([random.randint(1, most) for _ in range(2)] for most in (4, 3))
        before = [random.randint(0, 1) for _ in range(2)]
        wholes = [(length - 1) * stride + size for length, stride, size in zip(image, strides, taps, strict=True)]
        before = [min(pad, whole - 1) for pad, whole in zip(before, wholes, strict=True)]
        after = [random.randint(1 - strides[axis], min(2, wholes[axis] - before[axis] - 1)) for axis in (0, 1)]
        optional = {
            "stride_h": (strides[0], 1),
            "stride_w": (strides[1], 1),
            "pad_top": (before[0], 0),
            "pad_bottom": (after[0], 0),
            "pad_left": (before[1], 0),
            "pad_right": (after[1], 0),
        }
        weights = pack(draw.signs(self._rng, (channels_out, *taps, channels)))
        sizes = [whole - sum(pads) for whole, *pads in zip(wholes, before, after, strict=True)]
        self._append_product(
            "BnnTransposeConv2D", {"channels_in": channels}, optional, weights, (batch, *sizes, channels_out)
        )

    def _add_fully_connected(self) -> None:
        kept = self._random.randint(1, len(self._shape) - 1)  # leading dimensions that stay; the others make up a row
        channels_out = self._random.choice([1, 2, 10, 31, 32, 33, 64, 65, 100])
        row = self._shape[kept:]
        if self._kind == PACKED:  # unused bits stay where the channels of each pixel end
            weights = pack(draw.signs(self._rng, (channels_out, *row))).reshape(channels_out, -1)
        else:
            weights = pack(draw.signs(self._rng, (channels_out, math.prod(row))))
        is_last_dimension = math.prod(row) == row[-1]
        leading = self._shape[:-1] if is_last_dimension else (math.prod(self._shape[:kept]),)
        self._append_product(
            "BnnFullyConnected", {"channels_in": math.prod(row)}, {}, weights, (*leading, channels_out)
        )

    def _add_max_pool_2d(self) -> None:
        padding = self._random.choice([SAME, VALID])
        batch, height, width, channels = self._shape
        rows, columns = (draw.axis(self._random, length, padding, largest_dilation=1) for length in (height, width))
        options = draw.options(
            self._random,
            {"window_h": rows.taps, "window_w": columns.taps, "padding": padding},
            {"stride_h": (rows.stride, 1), "stride_w": (columns.stride, 1)},
        )
        self._append("BnnMaxPool2D", options, PACKED, (batch, rows.outputs, columns.outputs, channels))

    def _append_product(
        self,
        op: str,
        required: dict[str, int],
        optional: dict[str, tuple[int, int]],
        weights: np.ndarray,
        shape: tuple[int, ...],
    ) -> None:
        """Append a convolution or dense op with random multiplier and bias, or thresholds, and a random output type."""
        channels_out = shape[-1]
        largest = self._largest * 32 * math.ceil(weights.size / channels_out)
        kind = self._random.choice(["float32", PACKED])
        if kind == PACKED and self._kind != "float32":
            parameters = [draw.thresholds(self._rng, channels_out, largest)]
        else:
            parameters = list(draw.multiplier_and_bias(self._rng, channels_out, largest))
            activations = {name: (self._random.randint(0, 3), 0) for name in ("activation", "pre_activation")}
            optional = {**optional, **activations}
        options = draw.options(self._random, required, optional)
        result = (
            1.0 if kind == PACKED else float(1.0 + largest * np.abs(parameters[0]).max() + np.abs(parameters[1]).max())
        )
        self._append(op, options, kind, shape, [weights, *parameters], result)
