"""Draws docs/images/<quantizer>.png: values and gradient of each quantizer, as the package computes them.

Needs matplotlib, which keras-bnn does not: pip install matplotlib && python docs/plot_quantizers.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import matplotlib
import numpy as np
import tensorflow as tf

from keras_bnn.quantizers import (
    ApproxSign,
    DoReFa,
    LearnedThresholdSign,
    MagnitudeAwareSign,
    NoOp,
    SteHeaviside,
    SteSign,
    SteTern,
    StochasticSign,
    SwishSign,
)

matplotlib.use("Agg")
from matplotlib import pyplot

FOLDER = Path(__file__).parent / "images"
X = np.linspace(-2, 2, 2001, dtype=np.float32)
DRAWS = 4000


def random_signs(x: Any) -> Any:
    """The mean of many random signs."""
    signs = StochasticSign(seed=1)(tf.tile(x[tf.newaxis], (DRAWS, 1)), training=True)
    return tf.reduce_mean(signs, 0)


def threshold(value: float) -> Callable:
    """A learned threshold: one channel, the elements of x are the batch."""
    quantizer = LearnedThresholdSign(threshold_initializer=keras.initializers.Constant(value))
    return lambda x: quantizer(x[:, tf.newaxis])[:, 0]


def kernel(num_zeros: int) -> Callable:
    """A kernel with one output channel, whose other weights are zeros that make its mean magnitude smaller."""
    return lambda x: MagnitudeAwareSign()(tf.concat([x, tf.zeros(num_zeros)], 0)[:, tf.newaxis])[: len(X), 0]


PLOTS: dict[str, dict[str, Callable]] = {
    "ste_sign": {"clip_value=1.0": SteSign(), "clip_value=0.5": SteSign(0.5)},
    "stochastic_sign": {"training: mean": random_signs, "otherwise": StochasticSign()},
    "approx_sign": {"": ApproxSign()},
    "swish_sign": {"beta=5.0": SwishSign(), "beta=2.0": SwishSign(2.0)},
    "magnitude_aware_sign": {"mean(abs(x))=1": kernel(0), "mean(abs(x))=0.5": kernel(len(X))},
    "ste_tern": {"threshold 0.05": SteTern(), "0.7 mean": SteTern(None)},
    "ste_heaviside": {"": SteHeaviside()},
    "dorefa_activations": {"k_bit=2": DoReFa(2), "k_bit=1": DoReFa(1)},
    "dorefa_weights": {"k_bit=2": DoReFa(2, "weights"), "k_bit=1": DoReFa(1, "weights")},
    "learned_threshold_sign": {"threshold=0": threshold(0.0), "threshold=0.75": threshold(0.75)},
    "no_op": {"": NoOp()},
}


def values_and_gradient(quantizer: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The quantizer's values at X, and the gradient of each."""
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = quantizer(x)
    return y.numpy(), tape.gradient(y, x).numpy()


def with_jumps(y: np.ndarray) -> np.ndarray:
    """Values with gaps where it jumps, so that no line pretends to be there."""
    gaps = np.abs(np.diff(y)) > 0.1
    return np.where(np.append(gaps, False), np.nan, y)


def plot(name: str, quantizers: dict[str, Callable]) -> Path:
    """Draw one picture: values on the left, gradient on the right."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(6.4, 2.3), layout="constrained")
    for (label, quantizer), style in zip(quantizers.items(), ("-", "--"), strict=False):
        y, dx = values_and_gradient(quantizer)
        left.plot(X, with_jumps(y), style, label=label)
        right.plot(X, with_jumps(dx), style, label=label)
    for axes, title in ((left, "y"), (right, "gradient of y")):
        axes.set(title=title, xlabel="x", xlim=(-2, 2))
        axes.margins(y=0.15)
        axes.axhline(0, color="black", linewidth=0.5)
        axes.grid(alpha=0.3)
    if any(quantizers):
        left.legend(loc="upper left", fontsize="x-small")
    path = FOLDER / f"{name}.png"
    figure.savefig(path, dpi=90, metadata={"Software": None})
    pyplot.close(figure)
    return path


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, quantizers in PLOTS.items():
        path = plot(name, quantizers)
        print(f"{path} {path.stat().st_size} bytes")
