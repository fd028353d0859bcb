"""How long a training step of a binary layer takes, against the same Keras layer in float.

    KERAS_BACKEND=jax python benchmarks/training_step.py --json training_step.json

Each model is one trainable shift of the inputs, so that the layer computes their gradient as inside a network, and the
layer; Adam, mean squared error, compiled (`jit_compile=True`). Before anything is timed, the binary layer's outputs are
compared with the float layer's on the signs of inputs and kernel, and have to be equal. The two models of a pair take
turns, so that whatever else the machine does meets both; the ratio is the median over the turns.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from _json_file import write_json

from keras_bnn.layers import BinaryConv2D, BinaryDense


class Case(NamedTuple):
    """A layer in float and in binary, and the inputs that it gets."""

    float_layer: Callable[[], keras.layers.Layer]
    binary_layer: Callable[[], keras.layers.Layer]
    input_shape: tuple[int, ...]  # with the batch


def dense(size: int) -> Case:
    """A square dense layer, batches of 100 as in the paper."""
    return Case(lambda: keras.layers.Dense(size, use_bias=False), lambda: BinaryDense(size), (100, size))


def conv(channels: int, size: int) -> Case:
    """A 3x3 convolution that keeps the number of channels and the image size."""
    return Case(
        lambda: keras.layers.Conv2D(channels, 3, padding="same", use_bias=False),
        lambda: BinaryConv2D(channels, 3, padding="same"),
        (32, size, size, channels),
    )


CASES = {
    "dense 1024 to 1024, batch 100": dense(1024),
    "dense 4096 to 4096, batch 100": dense(4096),
    "conv 3x3, 64 channels, 28x28, batch 32": conv(64, 28),
    "conv 3x3, 128 channels, 14x14, batch 32": conv(128, 14),
}


class Shift(keras.layers.Layer):
    """Adds one trainable number."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.shift = self.add_weight(name="shift", shape=(), initializer="zeros")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs + self.shift


def make_model(layer: keras.layers.Layer, input_shape: tuple[int, ...]) -> keras.Model:
    """The compiled model of one layer."""
    model = keras.Sequential([keras.Input(batch_shape=input_shape), Shift(), layer])
    model.compile(keras.optimizers.Adam(1e-3), "mean_squared_error", jit_compile=True)
    return model


def check_outputs(float_model: keras.Model, binary_model: keras.Model, x: np.ndarray) -> None:
    """Stops unless the binary layer computes what the float layer makes of signs."""
    real, latent = float_model.layers[-1], binary_model.layers[-1]
    kept = real.get_weights()
    real.set_weights([np.where(kernel < 0, np.float32(-1), np.float32(1)) for kernel in latent.get_weights()])
    expected = float_model.predict_on_batch(np.where(x < 0, np.float32(-1), np.float32(1)))
    real.set_weights(kept)
    np.testing.assert_array_equal(binary_model.predict_on_batch(x), expected)


def seconds(step: Callable[[], Any], times: int) -> float:
    """Seconds that a step takes, the mean over `times` in a row. A step returns its loss, so it is over by then."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def measure(case: Case, turns: int) -> dict[str, float]:
    """Medians over the turns: milliseconds of both steps, and their ratio with its quartiles."""
    if keras.backend.backend() == "torch":
        import torch

        torch.compiler.reset()  # torch compiles one function a few times only, and all models share their step
    rng = np.random.default_rng(0)
    x = rng.normal(size=case.input_shape).astype(np.float32)
    models = [make_model(layer(), case.input_shape) for layer in (case.float_layer, case.binary_layer)]
    check_outputs(*models, x)
    y = rng.normal(size=models[0].output_shape).astype(np.float32)
    batch = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    steps = [lambda model=model: model.train_on_batch(*batch) for model in models]
    for step in steps:
        seconds(step, 3)  # compiles
    times = max(1, round(0.1 / seconds(steps[0], 3)))
    pairs = []
    for turn in range(turns):
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        taken = {place: seconds(steps[place], times) for place in order}
        pairs.append((taken[0], taken[1]))
    lower, ratio, upper = statistics.quantiles([binary / real for real, binary in pairs], n=4)
    return {
        "float_ms": 1000 * statistics.median(real for real, _ in pairs),
        "binary_ms": 1000 * statistics.median(binary for _, binary in pairs),
        "ratio": ratio,
        "ratio_lower_quartile": lower,
        "ratio_upper_quartile": upper,
    }


def main() -> None:
    """Measures, prints a table, and writes JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--turns", type=int, default=25, help="pairs of measurements per layer (default: 25)")
    parser.add_argument("--only", default="", help="measure the layers whose name holds this text")
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    print(f"A training step on {backend}, Keras {keras.__version__}, {platform.processor() or platform.machine()}")
    print(f"{'layer':<42}{'float ms':>10}{'binary ms':>11}{'ratio':>8}   quartiles")
    results = {}
    for name, case in CASES.items():
        if arguments.only not in name:
            continue
        result = results[name] = measure(case, arguments.turns)
        print(
            f"{name:<42}{result['float_ms']:>10.2f}{result['binary_ms']:>11.2f}{result['ratio']:>8.2f}"
            f"   {result['ratio_lower_quartile']:.2f} to {result['ratio_upper_quartile']:.2f}",
            flush=True,
        )
    if arguments.json:
        report = {"backend": backend, "keras": keras.__version__, "machine": platform.platform(), "layers": results}
        write_json(arguments.json, report)


if __name__ == "__main__":
    main()
