"""Trains a binary multilayer perceptron on MNIST, packs it, and checks the packed file on all test images.

Takes about three minutes on two cores. Every weight is +1 or -1, and so is every number between two layers.

    python examples/mnist_mlp.py
    python examples/mnist_mlp.py --data mnist.npz --epochs 20
"""

from __future__ import annotations

import time
from pathlib import Path

import keras
from _mnist import compare, load_images, parse_arguments, save, train
from keras.layers import BatchNormalization, Dropout, Flatten

from keras_bnn.layers import BinaryDense


def normalization() -> BatchNormalization:
    """Returns a batch normalization with the constants of arXiv:1602.02830's experiments."""
    return BatchNormalization(momentum=0.9, epsilon=1e-4)


def network(units: int = 1024) -> keras.Sequential:
    """Returns the untrained model. Its outputs are scores: the largest names the digit."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            Flatten(),
            Dropout(0.2),  # of pixels, while training
            BinaryDense(units, input_quantizer=None),  # sees the real pixels
            normalization(),
            BinaryDense(units),  # sees the signs of its inputs, as all further layers
            normalization(),
            BinaryDense(units),
            normalization(),
            BinaryDense(10),
            normalization(),
        ]
    )


def main() -> None:
    """Trains, converts, compares."""
    start = time.perf_counter()
    args = parse_arguments("Train, pack and check a binary multilayer perceptron on MNIST.", 12, "mnist_mlp.tflite")
    keras.utils.set_random_seed(args.seed)
    x_train, y_train, x_test, y_test = load_images(args.data)
    model = network()
    train(model, x_train, y_train, args.epochs, rates=(5e-3, 1e-5))
    save(model, Path(args.output).with_suffix(".keras"))
    compare(model, args.output, x_test, y_test)
    print(f"{time.perf_counter() - start:.0f} seconds in total.")


if __name__ == "__main__":
    main()
