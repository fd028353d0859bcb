"""Trains a binary network in two steps, as ReActNet does: first only the activations are binary, then the kernels too.

The first step finds weights that work with signs as inputs; the second one starts from them instead of from noise
(arXiv:2003.11535, arXiv:2003.03488). As many epochs in one step are trained for comparison: on scikit-learn's digits,
which take about a minute, they get as far. The papers report the gain on ImageNet.

    python examples/two_step_training.py
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import keras
from _digits import accuracy, load_digits, train
from keras.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, MaxPooling2D

from keras_bnn import binarize
from keras_bnn.layers import BinaryConv2D, RPReLU

FILTERS, RATE = 24, 1e-2


def network(kernel_quantizer: Any) -> keras.Model:
    """Returns the untrained model: binary convolutions with learned thresholds and skip connections in between.

    Args:
        kernel_quantizer: "ste_sign" for binary kernels, None for real-valued ones.
    """
    inputs = keras.Input((8, 8, 1))
    x = BatchNormalization()(Conv2D(FILTERS, 3, padding="same", use_bias=False)(inputs))
    for block in range(3):
        convolution = BinaryConv2D(
            FILTERS,
            3,
            padding="same",
            input_quantizer="learned_threshold_sign",
            kernel_quantizer=kernel_quantizer,
        )
        x = keras.layers.add([x, BatchNormalization()(convolution(x))])
        x = RPReLU()(x)
        x = MaxPooling2D()(x) if block == 1 else x
    return keras.Model(inputs, Dense(10)(GlobalAveragePooling2D()(x)))


def main() -> None:
    """Trains in two steps, and in one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=12, help="passes over the images in each of the two steps")
    parser.add_argument("--seed", type=int, default=1, help="start of all random numbers")
    args = parser.parse_args()
    start = time.perf_counter()
    x_train, y_train, x_test, y_test = load_digits()

    keras.utils.set_random_seed(args.seed)
    first = network(kernel_quantizer=None)
    train(first, x_train, y_train, args.epochs, RATE)
    print(f"step 1, binary activations, real-valued kernels: {accuracy(first, x_test, y_test):.2%} of the test images")

    second = binarize(first)  # the real-valued kernels become the latent weights
    train(second, x_train, y_train, args.epochs, RATE)
    print(f"step 2, binary activations and kernels:          {accuracy(second, x_test, y_test):.2%}")

    keras.utils.set_random_seed(args.seed)
    single = network(kernel_quantizer="ste_sign")
    train(single, x_train, y_train, 2 * args.epochs, RATE)
    print(f"the same in one step of {2 * args.epochs} epochs:              {accuracy(single, x_test, y_test):.2%}")
    print(f"{time.perf_counter() - start:.0f} seconds in total.")


if __name__ == "__main__":
    main()
