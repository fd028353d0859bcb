"""What int8 costs in accuracy: test errors on MNIST of one trained model as float32, int8, and by the stock converter.

    python benchmarks/int8_accuracy.py --data mnist.npz
    python benchmarks/int8_accuracy.py --data mnist.npz --model mnist_cnn.keras

Without --model it trains a network whose first and last layers are float32, with a residual block of binary
convolutions, for a few epochs. Pixels are those of examples/_mnist.py. The files:

- Keras: the model itself
- packed: `convert(model)`
- int8: `convert(model, representative_dataset=...)`, with int8 inputs and outputs
- stock int8: the stock converter's full quantization of the same model, which makes +-1 int8 too
- stock int8, packed: `convert` of that file
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
from _json_file import write_json
from keras import layers

import keras_bnn
from keras_bnn.layers import BinaryConv2D


def network() -> keras.Model:
    """Float convolution, residual block of two binary convolutions, float convolution and dense layer."""
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    for _ in range(2):
        y = BinaryConv2D(32, 3, padding="same")(x)
        y = layers.BatchNormalization()(y)
        x = layers.Add()([x, y])
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def train(x: np.ndarray, y: np.ndarray, epochs: int) -> keras.Model:
    """Trains the network above."""
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"], jit_compile=False)
    model.fit(x, y, 100, epochs, verbose=2)
    return model


def stock_int8(model: keras.Model, samples: np.ndarray) -> bytes:
    """Returns the stock converter's int8 file, with int8 inputs and outputs."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def predict(model: bytes, x: np.ndarray) -> np.ndarray:
    """Returns the class of each image."""
    interpreter = keras_bnn.runtime.Interpreter(model)
    spec = interpreter.inputs[0]
    if spec.quantization is not None:
        scale, zero_point = spec.quantization
        x = np.clip(np.round(x / scale) + zero_point, -128, 127).astype(spec.dtype)
    return interpreter.predict(x).argmax(-1)


def main() -> None:
    """Trains or loads, converts, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FILE.npz", required=True, help="a local copy of Keras's mnist.npz")
    parser.add_argument("--model", metavar="FILE.keras", help="a trained model, instead of a training")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=300, help="training images to calibrate with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE.json", help="write the figures here too")
    args = parser.parse_args()
    keras.utils.set_random_seed(args.seed)
    with np.load(args.data) as data:
        x_train, y_train, x, y = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x_train, x = ((images[..., np.newaxis] / np.float32(128) - 1).astype(np.float32) for images in (x_train, x))
    model = keras.saving.load_model(args.model, compile=False) if args.model else train(x_train, y_train, args.epochs)
    samples = x_train[: args.samples]
    report = keras_bnn.convert(
        model, representative_dataset=samples, inference_input_type="int8", inference_output_type="int8"
    )
    print(report, end="\n\n")
    stock = stock_int8(model, samples)
    files = {
        "packed": keras_bnn.convert(model).model,
        "int8": report.model,
        "stock int8": stock,
        "stock int8, packed": keras_bnn.convert(stock).model,
    }
    of_keras = model.predict(x, 100, verbose=0).argmax(-1)
    rows = {"Keras": {"error": float(np.mean(of_keras != y)), "as_keras": 1.0, "bytes": None}}
    for name, content in files.items():
        classes = predict(content, x)
        rows[name] = {
            "error": float(np.mean(classes != y)),
            "as_keras": float(np.mean(classes == of_keras)),
            "bytes": len(content),
        }
    print(f"{len(x):,} test images      error  as Keras    bytes")
    for name, row in rows.items():
        print(f"{name:<20} {row['error']:>9.2%} {row['as_keras']:>9.2%} {row['bytes'] or '':>8}")
    if args.json:
        write_json(Path(args.json), rows)


if __name__ == "__main__":
    main()
