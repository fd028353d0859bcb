"""Small packed networks with known answers, which together hold every op."""

from __future__ import annotations

import numpy as np

from keras_bnn.cli.selftest_network import Network

SAMPLES, SIZE, COLORS, CHANNELS = 3, 6, 3, 40  # 40 channels leave unused bits in the second word


def networks() -> dict[str, Network]:
    """Returns the networks of the self-test by name, always the same."""
    return {make.__name__: make(np.random.default_rng(1602)) for make in (plain, residual, int8, uint8, larq)}


def plain(rng: np.random.Generator) -> Network:
    """A first layer with real pixels, a binary one, a pool, a dense layer."""
    net = Network(rng, rng.integers(-4, 5, (SAMPLES, SIZE, SIZE, COLORS)).astype(np.float32))
    (x,) = net.conv2d(net.x, CHANNELS, bits=True)
    (x,) = net.conv2d(x, CHANNELS, thresholds=True)
    (y,) = net.fully_connected(net.max_pool2d(x), 7, dtype=np.float32)
    net.output(y)
    return net


def residual(rng: np.random.Generator) -> Network:
    """Two convolutions with shortcuts, the first giving y and its bits; depthwise and transposed ones behind."""
    net = Network(rng, rng.integers(-9, 10, (SAMPLES, SIZE, SIZE, CHANNELS)).astype(np.float32))
    y, x = net.conv2d(net.quantize(net.x), CHANNELS, shortcut=net.x, dtype=np.float32, bits=True)
    (x,) = net.conv2d(x, CHANNELS, pad_value=-1, shortcut=y, bits=True)
    (y,) = net.depthwise_conv2d(x, dtype=np.float32)
    net.output(y)
    (x,) = net.depthwise_conv2d(x, pad_value=1, thresholds=True)
    net.output(net.dequantize(x))
    (y,) = net.transpose_conv2d(x, 5, stride=2, dtype=np.float32)
    net.output(y)
    return net


def int8(rng: np.random.Generator) -> Network:
    """int8 numbers as inputs and outputs."""
    net = Network(rng, rng.integers(-128, 128, (SAMPLES, SIZE, SIZE, COLORS)).astype(np.int8))
    (x,) = net.conv2d(net.x, CHANNELS, stride=2, thresholds=True)
    net.output(net.dequantize(x, np.int8))
    y, x = net.conv2d(x, CHANNELS, dtype=np.int8, bits=True)
    net.output(y)
    (y,) = net.fully_connected(x, 7, dtype=np.int8)
    net.output(y)
    return net


def uint8(rng: np.random.Generator) -> Network:
    """A first layer with the bytes of an image."""
    net = Network(rng, rng.integers(0, 256, (SAMPLES, SIZE, SIZE, COLORS)).astype(np.uint8))
    (y,) = net.conv2d(net.x, CHANNELS, dtype=np.float32)
    net.output(y)
    return net


def larq(rng: np.random.Generator) -> Network:
    """The ops of Larq Compute Engine."""
    net = Network(rng, rng.integers(-9, 10, (SAMPLES, SIZE, SIZE, CHANNELS)).astype(np.float32))
    x = net.lce_max_pool2d(net.lce_conv2d(net.lce_quantize(net.x), CHANNELS, as_bits=True))
    net.output(net.lce_dequantize(x))
    net.output(net.lce_conv2d(x, CHANNELS, as_bits=False))
    return net
