"""How long the converter takes to pack a .tflite file, against the file's size.

    python benchmarks/convert_speed.py --json convert_speed.json

Each chain is a residual network of random binary 3x3 convolutions, written as a flatbuffer without TensorFlow: "deep"
has many layers of 64 channels, so the number of ops grows with the file; "wide" has few layers of 512 channels. The
networks of keras_bnn.applications are traced by TensorFlow once, which is not timed. Each file is packed by `convert`
without verification; of the turns, the one with the least processor time counts. Before its figures are printed, the
packed file runs beside the float file, and the chains have to agree on every bit: their scales and biases make all
float sums exact.
"""

from __future__ import annotations

import argparse
import platform
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _json_file import write_json
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_bnn import runtime
from keras_bnn.converter import convert
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Graph, Model, Tensor
from keras_bnn.converter.report import ConversionReport

IMAGE = 4
DEEP, WIDE = 64, 512
APPLICATIONS = {"BiRealNet18": "Bi-Real-18", "QuickNetLarge": "QuickNetLarge"}


class Chain:
    """Binary 3x3 convolutions, each with a shortcut around it, as the stock converter writes them."""

    def __init__(self, channels: int):
        self.channels = channels
        self.graph = Graph()
        self.rng = np.random.default_rng(channels)
        self.plus, self.minus, self.zero = (
            self.graph.add_constant(name, np.float32(value))
            for name, value in (("plus", 1), ("minus", -1), ("zero", 0))
        )

    def build(self, layers: int) -> bytes:
        """Returns the file."""
        x = self.graph.add_input("x", (1, IMAGE, IMAGE, self.channels))
        for layer in range(layers):
            x = self.layer(f"layer_{layer}", x)
        self.graph.outputs = [x]
        return write_model(Model([self.graph]))

    def layer(self, name: str, x: Tensor) -> Tensor:
        """Adds sign, convolution, and the sum with the shortcut; in half of the layers MUL and ADD stay apart."""
        is_negative = self.graph.add_tensor(f"{name}/less", x.dims, np.bool_)
        self.graph.add_op("LESS", [x, self.zero], [is_negative])
        sign = self.computed(f"{name}/sign", "SELECT_V2", [is_negative, self.minus, self.plus], None)
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        scale, bias = (self.rng.choice([0.125, 0.25, 0.5], self.channels).astype(np.float32) for _ in range(2))
        is_folded = self.rng.random() < 0.5
        signs = self.rng.integers(0, 2, (self.channels, 3, 3, self.channels), np.int8) * np.int8(2) - np.int8(1)
        weights = signs * (scale if is_folded else np.ones_like(scale)).reshape(-1, 1, 1, 1)
        constants = [
            self.graph.add_constant(f"{name}/{leaf}", values)
            for leaf, values in (("weights", weights), ("bias", bias if is_folded else np.zeros_like(bias)))
        ]
        y = self.computed(f"{name}/conv", "CONV_2D", [sign, *constants], options)
        if not is_folded:
            factor, offset = (self.graph.add_constant(f"{name}/{leaf}", v) for leaf, v in (("m", scale), ("b", bias)))
            y = self.computed(f"{name}/mul", "MUL", [y, factor], schema.MulOptionsT())
            y = self.computed(f"{name}/add", "ADD", [y, offset], schema.AddOptionsT())
        return self.computed(f"{name}/sum", "ADD", [x, y], schema.AddOptionsT())

    def computed(self, name: str, kind: str, inputs: list[Tensor], options: object) -> Tensor:
        """Adds an op with one output of the image's size."""
        output = self.graph.add_tensor(name, (1, IMAGE, IMAGE, self.channels))
        self.graph.add_op(kind, inputs, [output], options)
        return output


def application(name: str) -> bytes:
    """Returns the float file of a network."""
    from keras_bnn import applications
    from keras_bnn.converter.sources import load_reference

    return load_reference(getattr(applications, name)())


def cases(sizes: list[float]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The networks with their names, smallest first."""
    for channels, name in ((DEEP, "deep"), (WIDE, "wide")):
        layer_bytes = 4 * 9 * channels**2
        for size in sizes:
            layers = max(1, round(size * 1e6 / layer_bytes))
            if channels == DEEP or layers > 1:
                yield f"{name}, {layers} layers", lambda c=channels, n=layers: Chain(c).build(n)
    for name, title in APPLICATIONS.items():
        yield title, lambda name=name: application(name)


def run(model: bytes, delegates: list[object]) -> list[np.ndarray]:
    """Runs a file on fixed inputs."""
    interpreter = Interpreter(model_content=model, experimental_delegates=delegates, num_threads=2)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], (rng.integers(-12, 16, detail["shape"]) / 4).astype(np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def check_outputs(report: ConversionReport, *, is_exact: bool) -> None:
    """Stops unless the packed file computes what the float file does.

    Batch normalization is folded into the weights of the traced networks, which then sum to some 1e-7 instead of 0 in
    front of a sign: they are compared with the float file that sums +1 and -1, as in verification.
    """
    expected = run(report.reference if is_exact else exact_reference(report.reference), [])
    for one, two in zip(run(report.model, [runtime.load_delegate()]), expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=0 if is_exact else 1e-4)


def peak_megabytes(source: bytes) -> float:
    """The most memory that a conversion holds beside its source."""
    tracemalloc.start()
    convert(source, verify=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def measure(source: bytes, turns: int, *, is_exact: bool) -> dict[str, float]:
    """Processor seconds of the best turn, sizes, and the memory that the conversion takes."""
    seconds = []
    for _ in range(turns):
        start = time.process_time()
        report = convert(source, verify=False)
        seconds.append(time.process_time() - start)
    check_outputs(report, is_exact=is_exact)
    return {
        "bytes": len(source),
        "packed_bytes": len(report.model),
        "packed_ops": len(report.packed),
        "seconds": min(seconds),
        "peak_megabytes": peak_megabytes(source),
    }


def main() -> None:
    """Measures, prints a table, and writes JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--turns", type=int, default=3, help="conversions per network (default: 3)")
    parser.add_argument("--megabytes", type=float, nargs="*", default=[1, 10, 50, 100, 200], help="sizes of the chains")
    parser.add_argument("--only", default="", help="measure the networks whose name holds this text")
    arguments = parser.parse_args()
    print(f"{'network':<20}{'MB':>8}{'packed MB':>11}{'ops':>7}{'seconds':>9}{'ns/byte':>9}{'peak MB':>9}")
    results = {}
    for name, build in cases(arguments.megabytes):
        if arguments.only not in name:
            continue
        is_exact = name not in APPLICATIONS.values()
        result = results[name] = measure(build(), arguments.turns, is_exact=is_exact)
        print(
            f"{name:<20}{result['bytes'] / 1e6:>8.1f}{result['packed_bytes'] / 1e6:>11.2f}{result['packed_ops']:>7}"
            f"{result['seconds']:>9.2f}{1e9 * result['seconds'] / result['bytes']:>9.1f}"
            f"{result['peak_megabytes']:>9.0f}",
            flush=True,
        )
    if arguments.json:
        write_json(arguments.json, {"machine": platform.platform(), "networks": results})


if __name__ == "__main__":
    main()
