"""Runs in an environment that has Larq Zoo, not in ours: the figures and the outputs of its models.

python zoo_models.py figures > zoo_figures.json
python zoo_models.py outputs QuickNet 64 save_weights weights.h5 outputs.npz
python zoo_models.py convert QuickNet 64 quicknet.tflite
"""

from __future__ import annotations

import json
import sys

import numpy as np
import tensorflow as tf
from larq.models import ModelProfile
from larq_zoo import literature, sota

CLASSES = 7
IMAGES = 4
MODELS = {
    "BiRealNet18": literature.BiRealNet,
    "BinaryAlexNet": literature.BinaryAlexNet,
    "BinaryDenseNet28": literature.BinaryDenseNet28,
    "BinaryDenseNet37": literature.BinaryDenseNet37,
    "BinaryDenseNet45": literature.BinaryDenseNet45,
    "BinaryResNetE18": literature.BinaryResNetE18,
    "QuickNet": sota.QuickNet,
    "QuickNetLarge": sota.QuickNetLarge,
    "QuickNetSmall": sota.QuickNetSmall,
    "RealToBinaryNet": literature.RealToBinaryNet,
    "XNORNet": literature.XNORNet,
}


def print_figures() -> None:
    """Prints a line of JSON for each model at its published size: 224 x 224 pixels, 1000 classes."""
    lines = []
    for name, make in MODELS.items():
        tf.keras.backend.clear_session()
        model = make(weights=None)
        profile = ModelProfile(model)
        binary_macs = profile.op_count("mac", 1)
        figures = {
            "parameters": model.count_params(),
            "binary_weights": profile.weight_count(1),
            "binary_macs": binary_macs,
            "real_macs": profile.op_count("mac") - binary_macs,
        }
        lines.append(f"  {json.dumps(name)}: {json.dumps(figures)}")
    print("{\n" + ",\n".join(lines) + "\n}")


def write_outputs(name: str, size: int, save: str, weights_path: str, outputs_path: str) -> None:
    """Writes random weights of a model by its method `save`, and what it makes of random images, before the softmax."""
    rng = np.random.default_rng(5)
    model = _random_model(name, size, rng)
    getattr(model, save)(weights_path)
    # Colours and textures of their own, so that the images differ after global pooling too.
    colours, textures = rng.normal(0, 2, (IMAGES, 1, 1, 3)), rng.normal(0, 2, (IMAGES, size // 16, size // 16, 3))
    images = (colours + textures.repeat(16, axis=1).repeat(16, axis=2)).astype(np.float32)
    images += rng.normal(0, 0.5, images.shape).astype(np.float32)
    logits = tf.keras.Model(model.input, model.layers[-1].input)
    np.savez(outputs_path, images=images, outputs=logits.predict(images, verbose=0))


def convert(name: str, size: int, path: str) -> None:
    """Writes a model with random weights through the stock converter; prints how many layers have a binary kernel."""
    model = _random_model(name, size, np.random.default_rng(5))
    with open(path, "wb") as file:
        file.write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    print(sum(getattr(layer, "kernel_quantizer", None) is not None for layer in model.layers))


def _random_model(name: str, size: int, rng: np.random.Generator) -> tf.keras.Model:
    model = MODELS[name](input_shape=(size, size, 3), num_classes=CLASSES, weights=None)
    model.set_weights([_random_weight(rng, weight.name, weight.shape) for weight in model.weights])
    return model


def _random_weight(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Latent weights within their clip, and the statistics of a batch normalization that is neither 0 nor 1."""
    kind = name.split("/")[-1].split(":")[0]
    if kind == "moving_variance":
        return rng.uniform(0.5, 2, shape) * shape[0]
    if kind == "gamma":
        return rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape, p=[0.2, 0.8])
    if kind in ("beta", "moving_mean", "bias", "alpha"):
        return rng.normal(0.1, 0.3, shape)
    return rng.uniform(-1, 1, shape)


if __name__ == "__main__":
    if sys.argv[1] == "figures":
        print_figures()
    elif sys.argv[1] == "convert":
        convert(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        write_outputs(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
