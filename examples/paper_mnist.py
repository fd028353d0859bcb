"""Trains the MNIST networks of the paper on binarized neural networks (arXiv:1602.02830), packs them, and reports.

Three recipes, all on the pixels in a fixed order that no layer knows of (permutation invariant) and without
augmentation:

theano  3 x 4096 units, dropout, Adam, squared hinge loss, 1000 epochs of 50,000 images; the test error counts that
        belongs to the least error on the other 10,000 (paper: 0.96 %).
torch7  3 x 2048 units, stochastic signs while training, shift-based AdaMax and shift-based batch normalization,
        squared hinge loss, chosen in the same way (paper: 1.40 %).
fast    The network of "theano" for a budget of hours: cross entropy, larger batches, all 60,000 images; the last epoch
        counts, whatever its error, with the batch normalizations settled.

After each epoch the training is saved in the output folder: the same command goes on where it was stopped. In the end
the folder holds results.json, curve.png, the trained model.keras and the packed model.tflite.

    python examples/paper_mnist.py fast --policy mixed_bfloat16
    KERAS_BACKEND=jax python examples/paper_mnist.py torch7 --epochs 100 --output torch7

The policy mixed_bfloat16 halves the time on CPUs and GPUs with instructions for bfloat16; others get slower by it.
Signs and pixels are exact in it, only sums of the training are rounded. The trained model computes in float32 in any
case.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from _mnist import compare, load_images, save
from keras.layers import BatchNormalization, Dropout, Layer
from keras.optimizers.schedules import CosineDecay, ExponentialDecay, LearningRateSchedule
from matplotlib.figure import Figure

from keras_bnn.callbacks import settle_batch_normalization
from keras_bnn.constraints import WeightClip
from keras_bnn.initializers import WeightClipUniform
from keras_bnn.layers import BinaryDense, Quantize, ShiftBatchNormalization
from keras_bnn.optimizers import ShiftAdaMax
from keras_bnn.quantizers import StochasticSign
from keras_bnn.whole_file import write_whole

VALIDATION_IMAGES = 10_000
POLICIES = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How one network is built and trained."""

    units: int
    epochs: int
    batch_size: int
    input_dropout: float
    hidden_dropout: float
    quantizer: Callable[[], Any]
    normalization: Callable[[], Layer]
    optimizer: Callable[[LearningRateSchedule], keras.optimizers.Optimizer]
    rate: Callable[[int, int], LearningRateSchedule]  # of the epochs and the steps of one epoch
    hinge: bool
    validate: bool  # whether the best of the epochs on held-out images counts, as in the paper
    settle: bool


def batch_normalization() -> BatchNormalization:
    """Returns a batch normalization with the constants of the paper's experiments."""
    return BatchNormalization(momentum=0.9, epsilon=1e-4)


def shift_batch_normalization() -> ShiftBatchNormalization:
    """Returns a shift-based batch normalization with the same constants."""
    return ShiftBatchNormalization(momentum=0.9, epsilon=1e-4)


def halving(epochs: int, steps: int) -> LearningRateSchedule:
    """Returns 2^-6, halved ten times: every 20 epochs, as in the paper's scripts, when there are 200."""
    return ExponentialDecay(2.0**-6, max(1, epochs // 10) * steps, 0.5, staircase=True)


RECIPES = {
    "theano": Recipe(
        units=4096,
        epochs=1000,
        batch_size=100,
        input_dropout=0.2,
        hidden_dropout=0.5,
        quantizer=lambda: "ste_sign",
        normalization=batch_normalization,
        optimizer=keras.optimizers.Adam,
        rate=lambda epochs, steps: ExponentialDecay(3e-3, epochs * steps, 1e-4),
        hinge=True,
        validate=True,
        settle=False,
    ),
    "torch7": Recipe(
        units=2048,
        epochs=200,
        batch_size=100,
        input_dropout=0.0,
        hidden_dropout=0.0,
        quantizer=StochasticSign,
        normalization=shift_batch_normalization,
        optimizer=ShiftAdaMax,
        rate=halving,
        hinge=True,
        validate=True,
        settle=False,
    ),
    "fast": Recipe(
        units=4096,
        epochs=60,
        batch_size=500,
        input_dropout=0.2,
        hidden_dropout=0.2,
        quantizer=lambda: "ste_sign",
        normalization=batch_normalization,
        optimizer=keras.optimizers.Adam,
        rate=lambda epochs, steps: CosineDecay(2e-3, epochs * steps, alpha=1e-3),
        hinge=False,
        validate=False,
        settle=True,
    ),
}


def network(recipe: Recipe, units: int) -> keras.Sequential:
    """Returns the untrained network. Its outputs are scores: the largest names the digit."""

    def dense(units: int) -> BinaryDense:
        # Keeping latent weights in the Glorot bound stands for the paper's learning rate per kernel, see WeightClip.
        return BinaryDense(
            units,
            input_quantizer=None,
            kernel_initializer=WeightClipUniform("glorot"),
            kernel_constraint=WeightClip("glorot"),
        )

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), Dropout(recipe.input_dropout)])
    for _ in range(3):
        model.add(dense(units))
        model.add(recipe.normalization())
        model.add(Quantize(recipe.quantizer()))
        model.add(Dropout(recipe.hidden_dropout))  # after the sign, as in the paper
    model.add(dense(10))
    model.add(batch_normalization())
    return model


def one_hot(labels: np.ndarray, low: float) -> np.ndarray:
    """Returns 1 for the label's class and `low` for the others, float32 (images, 10)."""
    return np.where(labels[:, np.newaxis] == np.arange(10), 1.0, low).astype("float32")


class Curve(keras.callbacks.CSVLogger):
    """Appends each epoch's errors to curve.csv and draws them all into curve.png."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / "curve.csv"), append=True)
        self.picture = folder / "curve.png"
        self.epoch_start = 0.0

    def rows(self) -> list[dict[str, float]]:
        """Returns what was logged, an epoch each; where an epoch was repeated after a stop, its last run."""
        if not Path(self.filename).exists():
            return []
        with open(self.filename) as file:
            rows = {
                int(row["epoch"]): {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
            }
        return [rows[epoch] for epoch in sorted(rows)]

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the clock."""
        self.epoch_start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes a line and draws."""
        super().on_epoch_end(epoch, {**(logs or {}), "seconds": time.perf_counter() - self.epoch_start})
        draw(self.rows(), self.picture)


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Draws the errors of all epochs, in percent on a logarithmic axis."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label in {"accuracy": "training images", "val_accuracy": "held-out images"}.items():
        axes.plot([row["epoch"] + 1 for row in rows], [100 * (1 - row[key]) for row in rows], label=label)
    axes.set(xlabel="epoch", ylabel="error in %", yscale="log")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, dpi=120)
    write_whole(path, image.getvalue())


def train(
    model: keras.Model, recipe: Recipe, settings: dict[str, Any], images: dict[str, np.ndarray], folder: Path
) -> list[dict[str, float]]:
    """Trains until the last epoch, from where an earlier run was stopped; returns the rows of the curve."""
    x, labels = images["x_train"], images["y_train"]
    held_out = (images["x_test"], images["y_test"])
    if recipe.validate:
        held_out = x[-VALIDATION_IMAGES:], labels[-VALIDATION_IMAGES:]
        x, labels = x[:-VALIDATION_IMAGES], labels[:-VALIDATION_IMAGES]
    low = -1.0 if recipe.hinge else 0.0
    loss = (
        keras.losses.SquaredHinge()
        if recipe.hinge
        else keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    )
    rate = recipe.rate(settings["epochs"], -(-len(x) // recipe.batch_size))
    # XLA has no fast products of bfloat16 on a CPU; TensorFlow itself has.
    by_tensorflow = keras.backend.backend() == "tensorflow" and settings["policy"] == "mixed_bfloat16"
    model.compile(
        recipe.optimizer(rate),
        loss,
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False if by_tensorflow else "auto",
    )
    curve = Curve(folder)
    callbacks: list[keras.callbacks.Callback] = [curve]
    if recipe.validate:
        best = max((row["val_accuracy"] for row in curve.rows()), default=0.0)
        callbacks.append(
            keras.callbacks.ModelCheckpoint(
                folder / "best.weights.h5",
                monitor="val_accuracy",
                mode="max",
                save_best_only=True,
                save_weights_only=True,
                initial_value_threshold=best,
            )
        )
    callbacks.append(keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True))
    model.fit(
        x,
        one_hot(labels, low),
        recipe.batch_size,
        settings["epochs"],
        verbose=2,
        callbacks=callbacks,
        validation_data=(held_out[0], one_hot(held_out[1], low)),
        validation_batch_size=2000,
    )
    if recipe.validate:
        model.load_weights(folder / "best.weights.h5")
    return curve.rows()


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Train the MNIST networks of arXiv:1602.02830.")
    parser.add_argument("recipe", choices=RECIPES, help="the paper's two, or one for a budget of hours")
    parser.add_argument("--data", metavar="FILE.npz", help="a local copy of Keras's mnist.npz, instead of a download")
    parser.add_argument("--epochs", type=int, help="passes over the training images; by default the recipe's")
    parser.add_argument("--units", type=int, help="units of each hidden layer; by default the recipe's")
    parser.add_argument(
        "--policy", choices=POLICIES, default=POLICIES[0], help="numbers to train with (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="start of all random numbers (default: 1)")
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="where to write; by default paper_mnist_RECIPE")
    return parser.parse_args()


def open_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Makes the output folder, or sees to it that the training that was stopped in it is this one."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    if (folder / "results.json").exists():
        raise SystemExit(f"{folder} holds a finished training: pass another folder as --output, or delete this one.")
    if file.exists() and json.loads(file.read_text()) != settings:
        raise SystemExit(
            f"{folder} holds a training with the settings {file.read_text()}, not {json.dumps(settings)}: pass the "
            "same ones to go on with it, or another folder as --output."
        )
    write_whole(file, json.dumps(settings).encode())


def finish(
    model: keras.Model,
    recipe: Recipe,
    settings: dict[str, Any],
    rows: list[dict[str, float]],
    images: dict[str, np.ndarray],
    folder: Path,
) -> None:
    """Packs what was trained, and writes the files and the report."""
    keras.config.set_dtype_policy("float32")
    trained = network(recipe, settings["units"])
    trained.set_weights(model.get_weights())
    if recipe.settle:
        settle_batch_normalization(trained, images["x_train"][:10000])
    predicted = trained.predict(images["x_test"], 2000, verbose=0).argmax(-1)
    results = {
        **settings,
        "test_error": float(np.mean(predicted != images["y_test"])),
        "epochs_trained": len(rows),
        "hours": sum(row["seconds"] for row in rows) / 3600,
        "backend": f"{keras.backend.backend()}, Keras {keras.__version__}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    if recipe.validate:
        results["least_validation_error"] = 1 - max(row["val_accuracy"] for row in rows)
    save(trained, folder / "model.keras")
    compare(trained, str(folder / "model.tflite"), images["x_test"], images["y_test"])
    write_whole(folder / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    print(json.dumps(results, indent=2))


def main() -> None:
    """Trains, reports, packs."""
    args = parse_arguments()
    recipe = RECIPES[args.recipe]
    settings = {
        "recipe": args.recipe,
        "epochs": args.epochs or recipe.epochs,
        "units": args.units or recipe.units,
        "policy": args.policy,
        "seed": args.seed,
    }
    folder = args.output or Path(f"paper_mnist_{args.recipe}")
    open_folder(folder, settings)
    keras.utils.set_random_seed(args.seed)
    images = dict(zip(("x_train", "y_train", "x_test", "y_test"), load_images(args.data), strict=True))
    keras.config.set_dtype_policy(args.policy)
    model = network(recipe, settings["units"])
    rows = train(model, recipe, settings, images, folder)
    finish(model, recipe, settings, rows, images, folder)


if __name__ == "__main__":
    main()
