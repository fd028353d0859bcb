"""The trained MNIST models that are shipped, and images of digits for them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "models"
MODELS = sorted(FOLDER.glob("*.tflite"))
MNIST = Path(os.environ.get("KERAS_BNN_MNIST") or Path.home() / ".keras" / "datasets" / "mnist.npz")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns images and labels: MNIST's 10,000 test images, where there is a copy of it, or else the shipped ones.

    A copy is the file that KERAS_BNN_MNIST names, or the one that Keras has downloaded.
    """
    if not MNIST.exists():
        return np.load(FOLDER / "mnist_images.npy"), np.load(FOLDER / "mnist_labels.npy")
    with np.load(MNIST) as data:
        return data["x_test"][..., np.newaxis] / np.float32(128) - 1, data["y_test"]
