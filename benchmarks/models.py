"""How long whole networks take packed, against their float files on the stock runtime (XNNPACK).

    python benchmarks/models.py --json models.json
    python benchmarks/models.py --threads 4 --only QuickNet

The networks are those of keras_bnn.applications at their own image sizes, batch 1, with random weights and without the
softmax at the end, whose outputs would all be 0 or 1. Batch normalization gets the statistics of random images, so that
the scores tell images apart. Before anything is timed, the packed file's scores are compared with those of the float
file that sums +1 and -1, which is exact where the stock converter's file rounds in front of a sign: the best class has
to be the same for every image, and the largest difference is in the table. Both files take turns, so that whatever else
the machine does meets both; still, take figures on an idle machine.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import keras
import numpy as np
from _command import make_parser, parse, setting

from keras_bnn import applications, convert
from keras_bnn.cli.latency import measure
from keras_bnn.converter.exact import exact_reference
from keras_bnn.runtime import Interpreter

NETWORKS = ("BinaryNetCIFAR10", "BiRealNet18", "QuickNet", "QuickNetLarge")
IMAGES = 16
ROUNDING = 1e-4  # of the largest score: real-valued layers may be summed in another order


class Agreement(NamedTuple):
    """How the packed file's scores compare with the exact ones.

    Attributes:
        classes: Number of different best classes among the images: with one alone, equal ones would say little.
        largest_difference: Of any score.
        largest_score: Of the exact ones.
    """

    classes: int
    largest_difference: float
    largest_score: float


def random_images(shape: tuple[int, ...]) -> np.ndarray:
    """Pixels as multiples of 1/128 within [-1, 1): their sums under binary kernels are exact in any order."""
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *shape))
    return (pixels / 128 - 1).astype(np.float32)


def make_network(name: str) -> tuple[keras.Model, np.ndarray]:
    """The network, and the images that its batch normalizations have seen."""
    keras.utils.set_random_seed(0)
    model = getattr(applications, name)(classifier_activation=None)
    images = random_images(model.input_shape[1:])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # the statistics of these images alone
    model(images, training=True)
    return model, images


def compare(name: str, scores: np.ndarray, exact: np.ndarray) -> Agreement:
    """Compares the packed file's scores with the exact ones.

    Raises:
        RuntimeError: when a best class differs, or a score by more than float rounding.
    """
    largest = float(np.abs(exact).max())
    difference = float(np.abs(scores - exact).max())
    equal = int(np.count_nonzero(scores.argmax(-1) == exact.argmax(-1)))
    if equal < len(exact) or not difference <= ROUNDING * largest:
        raise RuntimeError(
            f"{name} packed gives the best class of the exact float file for {equal} of {len(exact)} images, and "
            f"scores up to {difference:.3g} away, but all should be equal within {ROUNDING * largest:.3g}: check the "
            "kernels with `keras-bnn doctor`."
        )
    return Agreement(len(np.unique(exact.argmax(-1))), difference, largest)


def measure_network(name: str, seconds: float, threads: int, isa: str | None) -> dict[str, Any]:
    """Converts, checks, and times both files."""
    model, images = make_network(name)
    report = convert(model, verify=False)
    files = {"float": report.reference, "packed": report.model}
    interpreters = {kind: Interpreter(content, num_threads=threads, isa=isa) for kind, content in files.items()}
    exact = Interpreter(exact_reference(report.reference), num_threads=threads).predict(images)
    agreement = compare(name, interpreters["packed"].predict(images), exact)
    for interpreter in interpreters.values():
        interpreter.predict(images[:1])
    latencies = measure({kind: each.invoke for kind, each in interpreters.items()}, seconds)
    return {
        "image": model.input_shape[1:],
        "bytes": {kind: len(content) for kind, content in files.items()},
        "images": len(images),
        **agreement._asdict(),
        "latency_us": {kind: latency._asdict() for kind, latency in latencies.items()},
        "ratio": latencies["float"].median / latencies["packed"].median,
    }


def main() -> None:
    """Measures, prints a table, and writes JSON where asked to."""
    arguments, names = parse(make_parser(__doc__), NETWORKS)
    result = setting(arguments)
    print("{processor}, {runtime}, kernels {kernel_set}, threads {threads}".format(**result))
    print(f"milliseconds: median (10 % to 90 %); best classes of {IMAGES} images equal\n")
    print(
        f"{'network':<18}{'float MB':>9}{'packed MB':>10}   {'float':<25}{'packed':<25}{'ratio':>6}"
        f"{'classes':>9}{'difference':>12}"
    )
    result["networks"] = {}
    for name in names:
        row = measure_network(name, arguments.seconds, arguments.threads, arguments.isa)
        result["networks"][name] = row
        size = {kind: count / 1e6 for kind, count in row["bytes"].items()}
        cells = {kind: _cell(latency) for kind, latency in row["latency_us"].items()}
        print(
            f"{name:<18}{size['float']:>9.2f}{size['packed']:>10.2f}   {cells['float']:<25}{cells['packed']:<25}"
            f"{row['ratio']:>6.2f}{row['classes']:>9}{row['largest_difference']:>12.3g}",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def _cell(latency: dict[str, float]) -> str:
    median, p10, p90 = (latency[name] / 1000 for name in ("median", "p10", "p90"))
    return f"{median:.2f} ({p10:.2f} to {p90:.2f})"


if __name__ == "__main__":
    main()
