"""What the MNIST examples share: arguments, data, training, files, and the comparison of Keras with the packed one."""

from __future__ import annotations

import argparse
import tempfile
import time
import zipfile
from pathlib import Path

import keras
import numpy as np

import keras_bnn
from keras_bnn.callbacks import SettleBatchNormalization
from keras_bnn.whole_file import write_whole

BATCH_SIZE = 100


def parse_arguments(description: str, epochs: int, output: str) -> argparse.Namespace:
    """Reads the command line, which has the same options for every network."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", metavar="FILE.npz", help="a local copy of Keras's mnist.npz, instead of a download")
    parser.add_argument("--epochs", type=int, default=epochs, help="passes over the 60,000 training images")
    parser.add_argument("--seed", type=int, default=1, help="start of all random numbers")
    parser.add_argument(
        "--output", metavar="FILE.tflite", default=output, help="packed model; the .keras file goes beside it"
    )
    return parser.parse_args()


def load_images(path: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns x_train, y_train, x_test, y_test; the pixels are float32 from -1 to 127/128.

    The first layer adds and subtracts pixels. They are multiples of 2^-7, so that its sums are exact in float32 in any
    order: Keras and the packed file get the same ones.
    """
    if path is None:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    else:
        with np.load(path) as data:
            x_train, y_train, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x_train, x_test = (x[..., np.newaxis] / np.float32(128) - 1 for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test


def train(model: keras.Sequential, x: np.ndarray, y: np.ndarray, epochs: int, rates: tuple[float, float]) -> None:
    """Trains with Adam; the learning rate falls exponentially from the first to the last of `rates`."""
    steps = epochs * -(-len(x) // BATCH_SIZE)
    rate = keras.optimizers.schedules.ExponentialDecay(rates[0], steps, rates[1] / rates[0])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA's convolutions are slower on a CPU than TensorFlow's own. JAX would run step by step without it.
    jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"], jit_compile=jit_compile)
    model.fit(x, y, BATCH_SIZE, epochs, verbose=2, callbacks=[SettleBatchNormalization(x[:10000])])


def save(model: keras.Model, path: str | Path) -> None:
    """Writes a .keras file with +1 and -1 in place of the latent weights, which compress to 1.6 bits each.

    It computes the same, and converts to the same packed file. It has no optimizer state, and a training that goes on
    from it starts with every latent weight as far from 0 as it may be.
    """
    copy = type(model).from_config(model.get_config())  # not compiled, unlike clone_model's
    copy.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.keras", Path(folder) / "small.keras"
        with keras_bnn.quantized_scope(copy):
            copy.save(whole)
        with (
            zipfile.ZipFile(whole) as source,
            zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
        ):
            for name in source.namelist():
                target.writestr(name, source.read(name))
        write_whole(path, small.read_bytes())


def compare(model: keras.Model, path: str, x: np.ndarray, y: np.ndarray) -> None:
    """Converts the model, runs the packed file on all images, and prints how it compares with Keras."""
    reference = str(Path(path).with_suffix(".float.tflite"))
    report = keras_bnn.convert(model, path, reference_path=reference)
    print(f"\n{report}\n")
    start = time.perf_counter()
    packed = keras_bnn.runtime.Interpreter(path).predict(x).argmax(-1)
    seconds = time.perf_counter() - start
    expected = model.predict(x, BATCH_SIZE, verbose=0).argmax(-1)
    sizes = report.reference_bytes, report.packed_bytes
    print(f"{len(x):,} test images     {'Keras / float .tflite':>22} {'packed .tflite':>16}")
    print(f"test error             {np.mean(expected != y):>22.2%} {np.mean(packed != y):>16.2%}")
    print(f"equal predictions      {'':>22} {np.sum(expected == packed):>16,}")
    print(f"file size in bytes     {sizes[0]:>22,} {sizes[1]:>16,}   {sizes[0] / sizes[1]:.1f} times smaller")
    print(f"\n{path} is written; in batches, its images took {seconds / len(x) * 1e6:.0f} us each. One at a time:")
    print(f"keras-bnn benchmark {path} --reference {reference}")
