"""Trains the same model on one device and on two with each optimizer, and writes the weights. Run in a new process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np

from keras_bnn.constraints import WeightClip
from keras_bnn.initializers import WeightClipUniform
from keras_bnn.layers import BinaryDense, RPReLU
from keras_bnn.optimizers import Bop, ShiftAdaMax, SplitOptimizer

OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "shift_adamax": lambda: ShiftAdaMax(2**-6, use_ema=True, weight_decay=0.01),
    "split": lambda: SplitOptimizer(binary=Bop(1e-3, 0.2), other=keras.optimizers.Adam(0.01)),
}


def train(optimizer: keras.optimizers.Optimizer) -> tuple[list[np.ndarray], int]:
    """Returns the trained weights with the optimizer's state, and on how many devices the first kernel is."""
    keras.utils.set_random_seed(41)
    generator = np.random.default_rng(42)
    x, y = generator.normal(size=(48, 6)).astype(np.float32), generator.normal(size=(48, 3)).astype(np.float32)
    glorot = {"kernel_initializer": WeightClipUniform("glorot"), "kernel_constraint": WeightClip("glorot")}
    # No batch normalization: TensorFlow normalizes the part of the batch on each device by itself.
    model = keras.Sequential(
        [
            keras.Input((6,)),
            BinaryDense(7, input_quantizer=None, **glorot),
            keras.layers.LayerNormalization(),
            RPReLU(),
            BinaryDense(3, use_bias=True, input_quantizer="learned_threshold_sign", **glorot),
        ]
    )
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    kernel = model.layers[0].kernel.value
    devices = len(kernel.devices()) if keras.backend.backend() == "jax" else len(getattr(kernel, "values", [kernel]))
    return [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)], devices


def two_devices() -> Callable[[], AbstractContextManager]:
    """Returns the scope of data parallelism on two virtual CPUs."""
    if keras.backend.backend() == "jax":
        return keras.distribution.DataParallel(devices=keras.distribution.list_devices()).scope
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope


def main(path: str) -> None:
    """Writes one .npz: the weights as "<optimizer>/<devices>/<index>"."""
    weights = {}
    scope_of_two = two_devices()  # one for all, since TensorFlow numbers its reductions in each strategy anew
    for name, make in OPTIMIZERS.items():
        for scope in (nullcontext, scope_of_two):
            with scope():
                trained, devices = train(make())
            weights.update({f"{name}/{devices}/{index}": value for index, value in enumerate(trained)})
    np.savez(path, **weights)


if __name__ == "__main__":
    main(sys.argv[1])
