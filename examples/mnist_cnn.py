"""Trains a binary convolutional network on MNIST, packs it, and checks the packed file on all test images.

Takes about five minutes on two cores. Every weight is +1 or -1, and so is every number between two layers.

    python examples/mnist_cnn.py
    python examples/mnist_cnn.py --data mnist.npz --epochs 20
"""

from __future__ import annotations

import time
from pathlib import Path

import keras
from _mnist import compare, load_images, parse_arguments, save, train
from keras.layers import BatchNormalization, Flatten, MaxPooling2D

from keras_bnn.layers import BinaryConv2D, BinaryDense


def normalization(beta: float = 0.0) -> BatchNormalization:
    """Returns a batch normalization with the constants of arXiv:1602.02830's experiments."""
    return BatchNormalization(momentum=0.9, epsilon=1e-4, beta_initializer=keras.initializers.Constant(beta))


def network() -> keras.Sequential:
    """Returns the untrained model. Its outputs are scores: the largest names the digit."""
    # A max-pool comes after the batch normalization, so that it works on bits: the largest of four signs is +1 unless
    # all are -1. That would be +1 nearly always, were it not for a beta that starts below 0.
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            BinaryConv2D(32, 3, padding="same", input_quantizer=None),  # sees the real pixels
            normalization(beta=-0.7),
            MaxPooling2D(),
            BinaryConv2D(64, 3, padding="same"),  # sees the signs of its inputs, as all further layers
            normalization(beta=-0.7),
            MaxPooling2D(),
            BinaryConv2D(128, 3, padding="same"),
            normalization(),
            Flatten(),
            BinaryDense(256),
            normalization(),
            BinaryDense(10),
            normalization(),
        ]
    )


def main() -> None:
    """Trains, converts, compares."""
    start = time.perf_counter()
    args = parse_arguments("Train, pack and check a binary convolutional network on MNIST.", 8, "mnist_cnn.tflite")
    keras.utils.set_random_seed(args.seed)
    x_train, y_train, x_test, y_test = load_images(args.data)
    model = network()
    train(model, x_train, y_train, args.epochs, rates=(5e-3, 1e-5))
    save(model, Path(args.output).with_suffix(".keras"))
    compare(model, args.output, x_test, y_test)
    print(f"{time.perf_counter() - start:.0f} seconds in total.")


if __name__ == "__main__":
    main()
