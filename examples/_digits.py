"""What the examples on scikit-learn's digits share: data, training, accuracy. No download is needed."""

from __future__ import annotations

import keras
import numpy as np

from keras_bnn.callbacks import settle_batch_normalization

BATCH_SIZE = 32


def load_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns x_train, y_train, x_test, y_test: 1,797 images of 8x8 pixels from -1 to 1, a quarter of them to test."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    digits = datasets.load_digits()
    images = (digits.images[..., np.newaxis] / 8 - 1).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    return x_train, y_train, x_test, y_test


def falling_rate(
    first: float, last: float, epochs: int, samples: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns a learning rate that falls exponentially from the first to the last step of a training."""
    steps = epochs * -(-samples // BATCH_SIZE)
    return keras.optimizers.schedules.ExponentialDecay(first, steps, last / first)


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, rate: float) -> None:
    """Trains a model of scores with Adam; the learning rate falls to a hundredth."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(falling_rate(rate, rate / 100, epochs, len(x)))
    # XLA takes longer to compile a small model than it saves.
    model.compile(optimizer, loss, jit_compile=keras.backend.backend() == "jax")
    model.fit(x, y, BATCH_SIZE, epochs, verbose=0)
    settle_batch_normalization(model, x)


def accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Returns the share of right predictions."""
    return float(np.mean(model.predict(x, verbose=0).argmax(-1) == y))
