"""How long single layers take on our kernels, against the stock runtime (XNNPACK) in float32 and int8, and a peer.

    python benchmarks/layers.py --json layers.json --plot layers.png
    python benchmarks/layers.py --threads 4 --isa avx2 --only 3x3
    python benchmarks/layers.py --lce build/lce/bin/python --only "3x3, "

A layer is one small .tflite file for each form: batch 1, SAME padding, as many output channels as input channels unless
the name says otherwise. "bits to bits" reads and writes packed bits, as between two binary layers; "float to float"
takes the signs itself; a first layer reads real numbers, as float32 or int8. All forms go through the same interpreter
(the stock ones run on XNNPACK there, as they do without our delegate), and what is timed is one call of `invoke`, the
interpreter's own time included. Before that, each form's output is compared with plain arithmetic on +1 and -1. The
forms of a layer take turns, so that whatever else the machine does meets all alike; still, take figures on an idle
machine.

The peer is Larq Compute Engine 0.16, in an environment of its own that `--lce` or KERAS_BNN_LCE_PYTHON names
(CONTRIBUTING.md): the same layer float to float, through its converter and its interpreter, in a process that takes
turns with this one. What is timed is its interpreter's only call, which copies input and output too; that is about 2 %
of the time of a 3x3 layer. The ratio is to the faster of its two kernels, the default one and `use_indirect_bgemm`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from _bar_chart import save_bar_chart
from _command import make_parser, parse, setting
from _json_file import write_json
from _layer import Layer
from _layer_files import Form, packed_forms, stock_forms
from _lce import Block, LarqComputeEngine, add_lce_argument, open_lce

from keras_bnn.cli.latency import Latency, measure_blocks, time_calls
from keras_bnn.runtime import Interpreter


def square(size: int, channels: int, kernel: int = 3, stride: int = 1) -> Layer:
    """A convolution that keeps the number of channels."""
    return Layer("Conv2D", (size, size, channels), channels, kernel, stride)


LAYERS = {
    "3x3, 56x56x64": square(56, 64),
    "3x3, 28x28x128": square(28, 128),
    "3x3, 14x14x256": square(14, 256),
    "3x3, 7x7x512": square(7, 512),
    "1x1, 28x28x128": square(28, 128, kernel=1),
    "1x1, 14x14x256": square(14, 256, kernel=1),
    "3x3, 56x56x64, stride 2": square(56, 64, stride=2),
    "3x3, 28x28x128, stride 2": square(28, 128, stride=2),
    "3x3, 28x28x128, 4 groups": Layer("Conv2D", (28, 28, 128), 128, groups=4),
    "3x3, 14x14x256, 4 groups": Layer("Conv2D", (14, 14, 256), 256, groups=4),
    "transposed 3x3, 28x28x64": Layer("TransposeConv2D", (28, 28, 64), 64, stride=2),
    "transposed 4x4, 14x14x128": Layer("TransposeConv2D", (14, 14, 128), 128, kernel=4, stride=2),
    "dense 1024": Layer("FullyConnected", (1024,), 1024),
    "dense 4096": Layer("FullyConnected", (4096,), 4096),
    "dense 1024, batch 16": Layer("FullyConnected", (1024,), 1024, batch=16),
    "dense 4096, batch 16": Layer("FullyConnected", (4096,), 4096, batch=16),
    "depthwise 3x3, 28x28x128": Layer("DepthwiseConv2D", (28, 28, 128), 128),
    "depthwise 3x3, 14x14x256": Layer("DepthwiseConv2D", (14, 14, 256), 256),
    "first 3x3, 28x28x1 to 32": Layer("Conv2D", (28, 28, 1), 32, is_first=True),
    "first 3x3, 224x224x3 to 32": Layer("Conv2D", (224, 224, 3), 32, is_first=True),
}


def load(form: Form, threads: int, isa: str | None) -> Interpreter:
    """Loads a form's file, which has run on its input and given the right output."""
    interpreter = Interpreter(form.content, num_threads=threads, isa=isa)
    form.check(interpreter.predict(form.x))
    return interpreter


def measure_layer(
    layer: Layer, seconds: float, threads: int, isa: str | None, lce: LarqComputeEngine | None
) -> dict[str, Latency]:
    """The latency of each form, ours first."""
    forms = {**packed_forms(layer), **stock_forms(layer)}
    interpreters = {name: load(form, threads, isa) for name, form in forms.items()}
    blocks: dict[str, Block] = {name: partial(time_calls, each.invoke) for name, each in interpreters.items()}
    if lce:
        blocks |= lce.layer(layer)
    return measure_blocks(blocks, seconds)


def ratios_to_peers(measured: dict[str, Latency]) -> dict[str, dict[str, float]]:
    """For each form, how many times as fast as each peer it is; of Larq Compute Engine's, the faster one counts."""
    peers = {name: measured[f"stock {name}"].median for name in ("float32", "int8")}
    variants = [latency.median for form, latency in measured.items() if form.startswith("LCE")]
    if variants:
        peers["lce"] = min(variants)
    return {
        form: {f"times_{peer}": median / latency.median for peer, median in peers.items()}
        for form, latency in measured.items()
    }


def main() -> None:
    """Checks, measures, prints a table, and writes JSON and a picture where asked to."""
    parser = make_parser(__doc__)
    add_lce_argument(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="picture to draw; needs matplotlib")
    arguments, names = parse(parser, LAYERS)
    result = setting(arguments)
    title = "{processor}, {runtime}, kernels {kernel_set}, threads {threads}".format(**result)
    print(title)
    latencies: dict[str, dict[str, float]] = {}
    result["layers"] = {}
    with open_lce(parser, arguments.lce, arguments.threads) as lce:
        peers = ["float32", "int8", *(["lce"] if lce else [])]
        print("microseconds; how many times as fast as the stock runtime" + (" and as the peer\n" if lce else "\n"))
        print(
            f"{'layer':<28}{'form':<16}{'median':>10}   {'10 % to 90 %':<20}{''.join(f'{peer:>9}' for peer in peers)}"
        )
        for name in names:
            measured = measure_layer(LAYERS[name], arguments.seconds, arguments.threads, arguments.isa, lce)
            latencies[name] = {form: latency.median for form, latency in measured.items()}
            forms = result["layers"][name] = {}
            for form, ratios in ratios_to_peers(measured).items():
                latency = measured[form]
                forms[form] = {**latency._asdict(), **ratios}
                percentiles = f"{latency.p10:.1f} to {latency.p90:.1f}"
                cells = "".join(f"{ratio:>9.2f}" for ratio in ratios.values())
                print(f"{name:<28}{form:<16}{latency.median:>10.1f}   {percentiles:<20}{cells}", flush=True)
    if arguments.json:
        write_json(arguments.json, result)
    if arguments.plot:
        save_bar_chart(latencies, title, arguments.plot)


if __name__ == "__main__":
    main()
