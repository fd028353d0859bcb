"""How long whole networks take packed, against their float files on the stock runtime (XNNPACK), and a peer.

    python benchmarks/models.py --json models.json
    python benchmarks/models.py --threads 4 --only QuickNet
    python benchmarks/models.py --lce build/lce/bin/python

The networks are those of keras_bnn.applications at their own image sizes, batch 1, with random weights and without the
softmax at the end, whose outputs would all be 0 or 1. Batch normalization gets the statistics of random images, so that
the scores tell images apart. Before anything is timed, the packed file's scores are compared with those of the float
file that sums +1 and -1, which is exact where the stock converter's file rounds in front of a sign: the best class has
to be the same for every image, and the largest difference is in the table. The files take turns, so that whatever else
the machine does meets all of them; still, take figures on an idle machine.

The peer is Larq Compute Engine 0.16, in an environment of its own that `--lce` or KERAS_BNN_LCE_PYTHON names
(CONTRIBUTING.md). Then Larq's networks of the same names are measured, which both converters can read, with weights
that leave float32 sums little to round; the peer's scores are compared with the exact ones too. The ratio is to the
fastest of its kernels: the default one, `use_indirect_bgemm`, and that with XNNPACK for the other layers.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from _command import make_parser, parse, setting
from _json_file import write_json
from _lce import Block, LarqComputeEngine, add_lce_argument, open_lce

from keras_bnn import applications, convert
from keras_bnn.cli.latency import measure_blocks, time_calls
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.report import ConversionReport
from keras_bnn.runtime import Interpreter

NETWORKS = {
    "BinaryNetCIFAR10": (32, 32, 3),
    "BiRealNet18": (224, 224, 3),
    "QuickNet": (224, 224, 3),
    "QuickNetLarge": (224, 224, 3),
}
"""The networks, with height, width and channels of their images."""

IMAGES = 16
ROUNDING = 1e-4  # of the largest score: real-valued layers may be summed in another order


class Agreement(NamedTuple):
    """How scores compare with the exact ones.

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
    model = getattr(applications, name)(input_shape=NETWORKS[name], classifier_activation=None)
    images = random_images(NETWORKS[name])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # the statistics of these images alone
    model(images, training=True)
    return model, images


class Case(NamedTuple):
    """A network to measure.

    Attributes:
        report: Its conversion, with the float file and the packed one.
        images: Images to compare scores of.
        peer_scores: The scores of each variant of the peer; none without it.
        peer_blocks: What times each variant.
    """

    report: ConversionReport
    images: np.ndarray
    peer_scores: dict[str, np.ndarray]
    peer_blocks: dict[str, Block]


def make_case(name: str, lce: LarqComputeEngine | None) -> Case:
    """Our network, or Larq's of the same name where the peer has to read it."""
    if lce is None:
        model, images = make_network(name)
        return Case(convert(model, verify=False), images, {}, {})
    images = np.round(4 * random_images(NETWORKS[name])) / 4  # few bits, see _lce_process.py
    stock, scores, blocks = lce.network(name, images)
    return Case(convert(stock, verify=False), images, scores, blocks)


def compare(name: str, scores: np.ndarray, exact: np.ndarray) -> Agreement:
    """Compares scores with the exact ones.

    Raises:
        RuntimeError: when a best class differs, or a score by more than float rounding.
    """
    largest = float(np.abs(exact).max())
    difference = float(np.abs(scores - exact).max())
    equal = int(np.count_nonzero(scores.argmax(-1) == exact.argmax(-1)))
    if equal < len(exact) or not difference <= ROUNDING * largest:
        raise RuntimeError(
            f"{name} gives the best class of the exact float file for {equal} of {len(exact)} images, and "
            f"scores up to {difference:.3g} away, but all should be equal within {ROUNDING * largest:.3g}: check the "
            "kernels with `keras-bnn doctor`."
        )
    return Agreement(len(np.unique(exact.argmax(-1))), difference, largest)


def measure_network(
    name: str, seconds: float, threads: int, isa: str | None, lce: LarqComputeEngine | None
) -> dict[str, Any]:
    """Converts, checks, and times all files."""
    case = make_case(name, lce)
    report, images = case.report, case.images
    files = {"float": report.reference, "packed": report.model}
    interpreters = {kind: Interpreter(content, num_threads=threads, isa=isa) for kind, content in files.items()}
    exact = Interpreter(exact_reference(report.reference), num_threads=threads).predict(images)
    agreement = compare(f"{name} packed", interpreters["packed"].predict(images), exact)
    for variant, scores in case.peer_scores.items():
        compare(f"{name} on {variant}", scores, exact)
    for interpreter in interpreters.values():
        interpreter.predict(images[:1])
    blocks: dict[str, Block] = {kind: partial(time_calls, each.invoke) for kind, each in interpreters.items()}
    latencies = measure_blocks(blocks | case.peer_blocks, seconds)
    row = {
        "image": images.shape[1:],
        "bytes": {kind: len(content) for kind, content in files.items()},
        "images": len(images),
        **agreement._asdict(),
        "latency_us": {kind: latency._asdict() for kind, latency in latencies.items()},
        "ratio": latencies["float"].median / latencies["packed"].median,
    }
    if lce:
        row["peer"] = min(case.peer_blocks, key=lambda variant: latencies[variant].median)
        row["ratio_to_peer"] = latencies[row["peer"]].median / latencies["packed"].median
    return row


def main() -> None:
    """Measures, prints a table, and writes JSON where asked to."""
    parser = make_parser(__doc__)
    add_lce_argument(parser)
    arguments, names = parse(parser, NETWORKS)
    result = setting(arguments)
    print("{processor}, {runtime}, kernels {kernel_set}, threads {threads}".format(**result))
    result["networks"] = {}
    with open_lce(parser, arguments.lce, arguments.threads) as lce:
        print(f"milliseconds: median (10 % to 90 %); best classes of {IMAGES} images equal\n")
        peer = f"   {'LCE, its fastest':<28}{'ratio':>6}" if lce else ""
        print(
            f"{'network':<18}{'float MB':>9}{'packed MB':>10}   {'float':<25}{'packed':<25}{'ratio':>6}"
            f"{peer}{'classes':>9}{'difference':>12}"
        )
        for name in names:
            row = measure_network(name, arguments.seconds, arguments.threads, arguments.isa, lce)
            result["networks"][name] = row
            size = {kind: count / 1e6 for kind, count in row["bytes"].items()}
            cells = {kind: _cell(latency) for kind, latency in row["latency_us"].items()}
            peer = f"   {cells[row['peer']]:<28}{row['ratio_to_peer']:>6.2f}" if lce else ""
            print(
                f"{name:<18}{size['float']:>9.2f}{size['packed']:>10.2f}   {cells['float']:<25}{cells['packed']:<25}"
                f"{row['ratio']:>6.2f}{peer}{row['classes']:>9}{row['largest_difference']:>12.3g}",
                flush=True,
            )
    if arguments.json:
        write_json(arguments.json, result)


def _cell(latency: dict[str, float]) -> str:
    median, p10, p90 = (latency[name] / 1000 for name in ("median", "p10", "p90"))
    return f"{median:.2f} ({p10:.2f} to {p90:.2f})"


if __name__ == "__main__":
    main()
