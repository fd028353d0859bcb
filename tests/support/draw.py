"""Random data for tests: asymmetric, seeded, with zeros, -0.0 and the extreme values included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import numpy as np
from format_reference import EXPLICIT, SAME, pack

PACKED = "packed"
DTYPES = {"float32": np.float32, "int8": np.int8, "uint8": np.uint8, PACKED: np.int32}
# Channel counts around the words of every kernel set: 32, 64, 128 and 512 bits.
CHANNELS = (1, 2, 3, 6, 12, 31, 32, 33, 40, 63, 64, 65, 66, 96, 127, 128, 129, 160, 192, 256, 511, 512, 513)
LARGEST_INPUT = {"float32": 8.0, "int8": 255.0, "uint8": 255.0, PACKED: 1.0}


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Float +1 and -1; the share of -1 differs from channel to channel."""
    share = rng.uniform(0.1, 0.9, shape[-1])
    return np.where(rng.random(shape) < share, -1.0, 1.0)


def inputs(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """A network's input with `shape` counted in channels; packed kinds come packed."""
    if kind == PACKED:
        return pack(signs(rng, shape))
    if kind == "float32":
        x = np.clip(rng.normal(0.3, 2.0, shape), -8, 8).astype(np.float32)
        x[rng.random(shape) < 0.1] = 0.0
        x[rng.random(shape) < 0.1] = -0.0
        return x
    limits = np.iinfo(DTYPES[kind])
    x = rng.integers(limits.min, limits.max + 1, shape).astype(DTYPES[kind])
    x[rng.random(shape) < 0.05] = limits.min
    x[rng.random(shape) < 0.05] = limits.max
    return x


def multiplier_and_bias(rng: np.random.Generator, channels: int, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Scales of both signs, zero, subnormal and huge; `largest` bounds the accumulator, so nothing overflows to inf."""
    multiplier = rng.normal(0.0, 0.3, channels)
    for extreme in (0.0, -0.0, 1e-40, 1e10 / largest, -1e10 / largest):
        multiplier[rng.random(channels) < 0.05] = extreme
    # A third of the biases cancel a small accumulator exactly, so that the sign of 0 counts.
    bias = np.where(rng.random(channels) < 0.3, -multiplier * rng.integers(-3, 4, channels), rng.normal(0, 3, channels))
    bias[rng.random(channels) < 0.1] = -0.0
    return multiplier.astype(np.float32), bias.astype(np.float32)


def thresholds(rng: np.random.Generator, channels: int, largest: float) -> np.ndarray:
    """Thresholds where accumulators are common, beyond every accumulator, and at both ends of int32."""
    limits = np.iinfo(np.int32)
    values = np.rint(rng.normal(0, np.sqrt(largest), channels)).astype(np.int64)
    for extreme in (limits.min, limits.max, limits.min + 1, limits.max - 1, int(largest), -int(largest), 0):
        values[rng.random(channels) < 0.04] = extreme
    return values.astype(np.int32)


def options(random: Random, required: dict[str, int], optional: dict[str, tuple[int, int]]) -> dict[str, int]:
    """A map of options; `optional` is name to (value, default), and a default is now and then left out."""
    chosen = {"version": 1, **required}
    for name, (value, default) in optional.items():
        if value != default or random.random() < 0.5:
            chosen[name] = value
    return chosen


def divisor(random: Random, number: int) -> int:
    """1 in half of the cases, else any divisor of `number`."""
    if random.random() < 0.5:
        return 1
    return random.choice([candidate for candidate in range(1, number + 1) if number % candidate == 0])


@dataclass(frozen=True)
class Axis:
    """A window along one axis of an image: how it lies, and how many outputs it gives."""

    taps: int
    stride: int
    dilation: int
    pads: tuple[int, int]
    outputs: int


def axis(random: Random, length: int, padding: int, largest_dilation: int = 3) -> Axis:
    """A window that fits an image of `length` pixels; its stride may be larger than the window."""
    taps, stride = random.randint(1, 4), random.randint(1, 5)
    dilation = random.randint(1, largest_dilation)
    if padding == SAME:
        return Axis(taps, stride, dilation, (0, 0), math.ceil(length / stride))
    pads = (random.randint(0, 4), random.randint(0, 4)) if padding == EXPLICIT else (0, 0)
    room = length + sum(pads) - (taps - 1) * dilation
    if room < 1:
        taps, room = 1, length + sum(pads)
    return Axis(taps, stride, dilation, pads, math.ceil(room / stride))
