"""Plain +1 and -1 arithmetic in numpy, which the layers are compared with."""

from __future__ import annotations

import itertools

import numpy as np


def sign(x: np.ndarray) -> np.ndarray:
    """-1 where x is below 0, else +1."""
    return np.where(x < 0, -1.0, 1.0)


def pad_same(x: np.ndarray, kernel_size: tuple, strides: tuple, dilation: tuple, value: float) -> np.ndarray:
    """Surround images [N, H, W, C] by `value`, so that output pixel i reads input pixels around i * stride."""
    pads = [(0, 0)]
    for size, kernel, stride, step in zip(x.shape[1:3], kernel_size, strides, dilation, strict=True):
        outputs = (size + stride - 1) // stride
        missing = max(0, (outputs - 1) * stride + (kernel - 1) * step + 1 - size)
        pads.append((missing // 2, missing - missing // 2))
    return np.pad(x, [*pads, (0, 0)], constant_values=value)


def conv2d(
    x: np.ndarray, w: np.ndarray, strides: tuple = (1, 1), dilation: tuple = (1, 1), groups: int = 1
) -> np.ndarray:
    """Convolve images [N, H, W, C] with a kernel [kh, kw, C / groups, O], without padding, one output at a time."""
    kernel_height, kernel_width, depth, filters = w.shape
    height = (x.shape[1] - (kernel_height - 1) * dilation[0] - 1) // strides[0] + 1
    width = (x.shape[2] - (kernel_width - 1) * dilation[1] - 1) // strides[1] + 1
    y = np.zeros((x.shape[0], height, width, filters))
    for row, column, channel in itertools.product(range(height), range(width), range(filters)):
        first = channel // (filters // groups) * depth
        top, left = row * strides[0], column * strides[1]
        for i, j in itertools.product(range(kernel_height), range(kernel_width)):
            pixel = x[:, top + i * dilation[0], left + j * dilation[1], first : first + depth]
            y[:, row, column, channel] += pixel @ w[i, j, :, channel]
    return y
