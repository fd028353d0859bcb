"""Plain +1 and -1 arithmetic in numpy, which the layers are compared with. Images may have one, two or three axes."""

from __future__ import annotations

import itertools

import numpy as np


def sign(x: np.ndarray) -> np.ndarray:
    """-1 where x is below 0, else +1."""
    return np.where(x < 0, -1.0, 1.0)


def pad_same(x: np.ndarray, kernel_size: tuple, strides: tuple, dilation: tuple, value: float) -> np.ndarray:
    """Surround images [N, ..., C] by `value`, so that output pixel i reads input pixels around i * stride."""
    pads = [(0, 0)]
    for size, kernel, stride, step in zip(x.shape[1:-1], kernel_size, strides, dilation, strict=True):
        outputs = (size + stride - 1) // stride
        missing = max(0, (outputs - 1) * stride + (kernel - 1) * step + 1 - size)
        pads.append((missing // 2, missing - missing // 2))
    return np.pad(x, [*pads, (0, 0)], constant_values=value)


def conv(x: np.ndarray, w: np.ndarray, strides: tuple, dilation: tuple, groups: int = 1) -> np.ndarray:
    """Convolve images [N, ..., C] with a kernel [..., C / groups, O], without padding, one output at a time."""
    *kernel_size, depth, filters = w.shape
    axes = list(zip(x.shape[1:-1], kernel_size, strides, dilation, strict=True))
    sizes = [(size - (kernel - 1) * step - 1) // stride + 1 for size, kernel, stride, step in axes]
    y = np.zeros((len(x), *sizes, filters))
    for pixel, channel in itertools.product(np.ndindex(*sizes), range(filters)):
        first = channel // (filters // groups) * depth
        for tap in np.ndindex(*kernel_size):
            place = tuple(p * s + t * d for p, s, t, d in zip(pixel, strides, tap, dilation, strict=True))
            y[(slice(None), *pixel, channel)] += x[(slice(None), *place)][:, first : first + depth] @ w[tap][:, channel]
    return y


def conv2d(
    x: np.ndarray, w: np.ndarray, strides: tuple = (1, 1), dilation: tuple = (1, 1), groups: int = 1
) -> np.ndarray:
    """Convolve images [N, H, W, C] with a kernel [kh, kw, C / groups, O], without padding."""
    return conv(x, w, strides, dilation, groups)


def depthwise_conv2d(x: np.ndarray, w: np.ndarray, strides: tuple, dilation: tuple) -> np.ndarray:
    """Convolve each channel of images [N, H, W, C] by itself with a kernel [kh, kw, C, M]; output channel c * M + m."""
    channels = [conv2d(x[..., c : c + 1], w[:, :, c : c + 1], strides, dilation) for c in range(x.shape[-1])]
    return np.concatenate(channels, axis=-1)


def conv2d_transpose(x: np.ndarray, w: np.ndarray, strides: tuple, dilation: tuple) -> np.ndarray:
    """Add to the output of each pixel of images [N, H, W, C] the kernel [kh, kw, O, C] times it, without cropping."""
    sizes = [
        (size - 1) * stride + (kernel - 1) * step + 1
        for size, stride, kernel, step in zip(x.shape[1:3], strides, w.shape, dilation, strict=False)
    ]
    y = np.zeros((len(x), *sizes, w.shape[2]))
    for (row, column), (i, j) in itertools.product(np.ndindex(*x.shape[1:3]), np.ndindex(*w.shape[:2])):
        y[:, row * strides[0] + i * dilation[0], column * strides[1] + j * dilation[1]] += x[:, row, column] @ w[i, j].T
    return y
