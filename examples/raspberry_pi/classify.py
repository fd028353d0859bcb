"""Classifies image files, or what a Raspberry Pi's camera sees, and prints the labels and the latency.

    python classify.py mnist_cnn.tflite seven.png three.jpg
    python classify.py mnist_cnn.tflite --camera --invert

Needs keras-bnn and Pillow; for the camera also picamera2. docs/raspberry_pi.md says how to install them.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_bnn.runtime import Interpreter

RUNS = 20


def pictures(files: list[Path], camera: bool) -> Iterator[tuple[str, Image.Image]]:
    """Yields a name and a picture for each file, and then what the camera sees, until the program is stopped."""
    for file in files:
        with Image.open(file) as image:
            yield str(file), image.copy()
    if camera:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            sys.exit(f"--camera needs picamera2 ({error}): sudo apt install python3-picamera2, on a Raspberry Pi.")

        with Picamera2() as device:
            device.configure(device.create_still_configuration())
            device.start()
            while True:
                yield "camera", device.capture_image("main")


def labels_in(model: str) -> list[str] | None:
    """The labels that the file's metadata brings: they are in a zip archive behind the model."""
    if not zipfile.is_zipfile(model):
        return None
    with zipfile.ZipFile(model) as archive:
        for name in archive.namelist():
            if name.endswith("labels.txt"):
                return archive.read(name).decode().splitlines()
    return None


def model_input(image: Image.Image, interpreter: Interpreter, invert: bool) -> np.ndarray:
    """The picture in the shape and type of the model's input: floats from -1 to 1, or their quantized values."""
    (spec,) = interpreter.inputs
    _, height, width, channels = spec.shape
    scaled = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(scaled, np.float32).reshape(1, height, width, channels)
    values = (255 - pixels if invert else pixels) / np.float32(128) - 1
    if spec.quantization is None:
        return values
    scale, zero_point = spec.quantization
    limits = np.iinfo(spec.dtype)
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(spec.dtype)


def main() -> None:
    """Prints a line for each picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help=".tflite file of one image input, packed or not")
    parser.add_argument("images", nargs="*", type=Path, help="image files")
    parser.add_argument("--camera", action="store_true", help="go on with pictures of the camera")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="a line for each class (default: the file's own labels, or numbers)"
    )
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes to print (default: 3)")
    parser.add_argument(
        "--invert", action="store_true", help="for dark digits on light ground: MNIST's are light on dark"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of a run (default: 1)")
    arguments = parser.parse_args()
    if not arguments.images and not arguments.camera:
        parser.error("there is no picture: name image files, or --camera")
    if sys.maxsize < 2**32:
        print("This system is 32-bit: on the same Pi a 64-bit one is faster.", file=sys.stderr)

    labels = arguments.labels.read_text().splitlines() if arguments.labels else labels_in(arguments.model)
    interpreter = Interpreter(arguments.model, num_threads=arguments.threads)
    for name, image in pictures(arguments.images, arguments.camera):
        (scores,) = interpreter.predict(model_input(image, interpreter, arguments.invert))
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            interpreter.invoke()
            times.append(time.perf_counter() - start)
        best = np.argsort(scores)[::-1][: arguments.top]
        classes = ", ".join(f"{labels[i] if labels else i} ({scores[i]:.2f})" for i in best)
        print(f"{name}: {classes}; {np.median(times) * 1e3:.3f} ms", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # which ends --camera
        main()
