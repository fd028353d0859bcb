"""Trains a binary network on the scores of a real-valued one, its teacher, and once more without the teacher.

The student is the teacher, binarized by `keras_bnn.binarize`: it starts from the teacher's weights. It learns from the
labels and from the teacher's softened probabilities (arXiv:1503.02531), whose Kullback-Leibler divergence
`keras.distillation` adds to the loss. Takes about a minute on scikit-learn's digits.

    python examples/distillation.py
"""

from __future__ import annotations

import argparse
import time

import keras
from _digits import accuracy, load_digits, train
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, ReLU

import keras_bnn

FILTERS, TEMPERATURE = 16, 3.0


def network() -> keras.Model:
    """Returns the untrained teacher, an ordinary convolutional network."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            Conv2D(FILTERS, 3, padding="same", use_bias=False),
            BatchNormalization(),
            ReLU(),
            Conv2D(FILTERS, 3, padding="same", use_bias=False),
            BatchNormalization(),
            ReLU(),
            MaxPooling2D(),
            Conv2D(2 * FILTERS, 3, use_bias=False),
            BatchNormalization(),
            ReLU(),
            Flatten(),
            Dense(10),
        ]
    )


def main() -> None:
    """Trains the teacher, then the student with and without it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=15, help="passes over the images, for each of the networks")
    parser.add_argument("--seed", type=int, default=1, help="start of all random numbers")
    args = parser.parse_args()
    start = time.perf_counter()
    keras.utils.set_random_seed(args.seed)
    x_train, y_train, x_test, y_test = load_digits()

    teacher = network()
    train(teacher, x_train, y_train, args.epochs, rate=3e-3)
    print(f"teacher, real-valued:       {accuracy(teacher, x_test, y_test):.2%} of the test images")

    student = keras_bnn.binarize(teacher)  # the first and the last layer stay real-valued
    alone = keras_bnn.binarize(teacher)
    print(f"binarized, before training: {accuracy(student, x_test, y_test):.2%}")

    # The loss as an object: a name alone would take the divergence of scores, not of probabilities.
    divergence = keras.distillation.LogitsDistillation(TEMPERATURE, keras.losses.KLDivergence())
    distiller = keras.distillation.Distiller(teacher, student, divergence, student_loss_weight=0.5)
    train(distiller, x_train, y_train, args.epochs, rate=1e-2)
    print(f"student, with the teacher:  {accuracy(student, x_test, y_test):.2%}")

    train(alone, x_train, y_train, args.epochs, rate=1e-2)
    print(f"student, labels alone:      {accuracy(alone, x_test, y_test):.2%}")

    print(f"\n{keras_bnn.summary(student)}\n\n{time.perf_counter() - start:.0f} seconds in total.")


if __name__ == "__main__":
    main()
