"""Trains a small binary network on scikit-learn's digits, packs it, and compares it with its float reference.

The network has three binary convolutions and two binary dense layers. The packed file runs on the installed runtime
through the delegate. Needs no download; takes about a minute.

Examples:
  keras-bnn demo
  keras-bnn demo --output digits/    (then: keras-bnn inspect digits/packed.tflite)
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_bnn.quiet import quiet_output
from keras_bnn.whole_file import write_whole

if TYPE_CHECKING:
    import numpy as np

    from keras_bnn.converter import ConversionReport

HELP = "train, pack and run a small binary network"
EPOCHS = 15
_LATENCY_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument(
        "--output", metavar="DIR", help="keep model.keras, float.tflite and packed.tflite in this folder"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the demo."""
    start = time.perf_counter()
    folder = None if args.output is None else Path(args.output)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    print("Loading Keras ...", flush=True)
    with quiet_output(2):
        import keras

        import keras_bnn

    train, test = _digits()
    keras.utils.set_random_seed(0)
    model = _network()
    print(f"Training {model.count_params():,} weights on {len(train[0])} images for {EPOCHS} epochs ...", flush=True)
    _train(model, *train)
    print("Converting ...", flush=True)
    with quiet_output(2):
        report = keras_bnn.convert(
            model,
            path=folder and folder / "packed.tflite",
            reference_path=folder and folder / "float.tflite",
        )
    print(f"\n{report}\n")
    print(_comparison(model, report, *test))
    if folder is not None:
        write_whole(folder / "model.keras", _saved(model))
        print(f"\nmodel.keras, float.tflite and packed.tflite are in {folder}.")
    print(f"\n{time.perf_counter() - start:.0f} seconds in total.")
    return 0


def _saved(model: Any) -> bytes:
    """The .keras file of a model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return path.read_bytes()


def _digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """1797 images of 8x8 pixels from -1 to 1, a quarter of them for the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images[..., None] / 8 - 1).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    return (x_train, y_train), (x_test, y_test)


def _network() -> Any:
    import keras
    from keras.layers import BatchNormalization, Flatten, MaxPooling2D, Softmax

    from keras_bnn.layers import BinaryConv2D, BinaryDense

    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            BinaryConv2D(64, 3, padding="same", input_quantizer=None),  # the first layer sees the real pixels
            BatchNormalization(momentum=0.9),
            BinaryConv2D(128, 3, padding="same"),
            BatchNormalization(momentum=0.9),
            MaxPooling2D(2),
            BinaryConv2D(256, 3, padding="same"),
            BatchNormalization(momentum=0.9),
            MaxPooling2D(2),
            Flatten(),
            BinaryDense(1024),
            BatchNormalization(momentum=0.9),
            BinaryDense(10),
            BatchNormalization(momentum=0.9),
            Softmax(),
        ]
    )


def _train(model: Any, images: np.ndarray, labels: np.ndarray) -> None:
    import keras

    def show(epoch: int, logs: dict[str, float]) -> None:
        print(f"  epoch {epoch + 1:2} of {EPOCHS}: training accuracy {logs['accuracy']:.1%}", flush=True)

    batch_size = 32
    steps = EPOCHS * -(-len(images) // batch_size)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    progress = keras.callbacks.LambdaCallback(on_epoch_end=show)
    model.fit(images, labels, batch_size=batch_size, epochs=EPOCHS, verbose=0, callbacks=[progress])


def _comparison(model: Any, report: ConversionReport, images: np.ndarray, labels: np.ndarray) -> str:
    """The table: Keras and the float file on the left, the packed file on the right."""
    from keras_bnn.cli.latency import measure
    from keras_bnn.runtime import Interpreter, cpu_info, stock_runtime

    packed = Interpreter(report.model, num_threads=1)
    reference = Interpreter(report.reference, num_threads=1)
    expected = model.predict(images, verbose=0).argmax(-1)
    found = packed.predict(images).argmax(-1)
    for interpreter in (packed, reference):
        interpreter.predict(images[:1])
    latency = measure({"packed": packed.invoke, "reference": reference.invoke}, _LATENCY_SECONDS)
    sizes = report.reference_bytes, report.packed_bytes
    times = latency["reference"].median, latency["packed"].median
    equal = int((found == expected).sum())
    rows = [
        ("", "Keras, float .tflite", "packed .tflite", ""),
        ("test accuracy", f"{(expected == labels).mean():.2%}", f"{(found == labels).mean():.2%}", ""),
        ("equal predictions", "", f"{equal} of {len(found)}", f"{equal / len(found):.2%}"),
        ("file size", f"{sizes[0]:,} bytes", f"{sizes[1]:,} bytes", f"{sizes[0] / sizes[1]:.1f} times smaller"),
        ("latency, 1 thread", f"{times[0]:.1f} us", f"{times[1]:.1f} us", f"{times[0] / times[1]:.1f} times as fast"),
    ]
    lines = [f"{row[0]:<20}{row[1]:>22}{row[2]:>22}   {row[3]}".rstrip() for row in rows]
    lines.append(f"\nMedian latency of one image on {stock_runtime()}, kernels {cpu_info()['chosen_kernel_set']}.")
    return "\n".join(lines)
