"""Trains on two devices, in a process of its own, and prints what the callbacks say and what numpy counts."""

from __future__ import annotations

import json
import os

if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np

from keras_bnn.callbacks import FlipRatioLogger, HyperparameterScheduler, SettleBatchNormalization
from keras_bnn.layers import BinaryDense


class CountFlips(keras.callbacks.Callback):
    """Counts the flips of the first layer's kernel with numpy."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.ratios: list[float] = []
        self._last = self._signs()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        signs = self._signs()
        self._epoch.append(float(np.mean(signs != self._last)))
        self._last = signs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.ratios.append(float(np.mean(self._epoch)))

    def _signs(self) -> np.ndarray:
        return np.concatenate(
            [layer.kernel.numpy().ravel() < 0 for layer in self.model.layers if "binary" in layer.name]
        )


def train() -> dict:
    """Builds, trains and returns what it saw."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(48, 9)).astype("float32"), rng.normal(size=(48, 4)).astype("float32")
    normalization = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((9,)), BinaryDense(11), normalization, BinaryDense(4)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    count = CountFlips()
    halve = HyperparameterScheduler("learning_rate", lambda step: 0.5**step, every="step")
    settle = SettleBatchNormalization(x, batch_size=16)
    callbacks = [FlipRatioLogger(), count, halve, settle]
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks).history
    sums = np.sign(x) @ np.where(model.layers[0].kernel.numpy() < 0, -1, 1)
    return {
        "flip_ratio": history["flip_ratio"],
        "counted": count.ratios,
        "learning_rate": history["learning_rate"],
        "moving": [normalization.moving_mean.numpy().tolist(), normalization.moving_variance.numpy().tolist()],
        "moments": [sums.mean(0).tolist(), sums.var(0).tolist()],
    }


def main() -> None:
    """Sets up two devices of the backend."""
    if keras.backend.backend() == "jax":
        with keras.distribution.DataParallel(devices=keras.distribution.list_devices()).scope():
            result = train()
    else:
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        assert strategy.num_replicas_in_sync == 2
        with strategy.scope():
            result = train()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
