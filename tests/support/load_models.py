"""Files for the load tests, with the results that their float files give on the stock runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from support.float_graphs import RELU, SAME, FloatGraph, kinds, random_input, rewrite, run_file

_CASES = 20


def _dense_network() -> bytes:
    """Three dense layers, all of whose ops become ours."""
    graph = FloatGraph(31)
    y = graph.add_input("x", (-1, 200))
    for units in (300, 128, 10):
        y = graph.dense(graph.sign(y), graph.kernel((units, y.dims[1])), graph.bias(units))
    return graph.finish(y)


def _image_network() -> bytes:
    """Convolutions with a shortcut and a pool, in two partitions with an op of the runtime between, for any image."""
    graph = FloatGraph(32)
    x = graph.add_input("x", (-1, 12, 12, 3))
    y = graph.conv(x, graph.kernel((32, 3, 3, 3)), graph.bias(32), padding=SAME)
    z = graph.conv(graph.sign(y), graph.kernel((32, 3, 3, 32), 0.5), graph.bias(32), padding=SAME)
    y = graph.pool(graph.op("ADD", [y, z], y.dims, schema.AddOptionsT()), padding=SAME)
    real = (graph.rng.integers(-3, 4, (40, 1, 1, 32)) / 4).astype(np.float32)  # not two values alone: it stays float
    y = graph.shift(graph.conv(y, real, graph.bias(40), activation=RELU), -2.5)
    y = graph.conv(graph.sign(y), graph.kernel((70, 3, 3, 40)), stride=(2, 2), padding=SAME)
    y = graph.conv(graph.sign(y), graph.kernel((64, 3, 3, 35), 1.0), padding=SAME)  # two groups
    return graph.finish(graph.conv(graph.sign(y), graph.kernel((33, 1, 1, 64)), graph.bias(33)))


def write_load_models(folder: Path) -> None:
    """Writes NAME.tflite, its float file NAME.float, and NAME.npz with inputs x0, x1, ... and outputs y0, y1, ..."""
    random = np.random.default_rng(33)
    for name, source in (("dense", _dense_network()), ("images", _image_network())):
        packed, graph = rewrite(source)
        own = [kind.startswith("Bnn") for kind in kinds(graph)]
        assert all(own) if name == "dense" else own.count(False) == 2, kinds(graph)
        arrays = {}
        for case in range(_CASES):
            batch, height, width = map(int, random.integers((1, 4, 4), (9, 24, 24)))
            shape = (batch, 200) if name == "dense" else (batch, height, width, 3)
            arrays[f"x{case}"] = random_input(shape, seed=case)
            (arrays[f"y{case}"],) = run_file(source, [arrays[f"x{case}"]])
        folder.joinpath(f"{name}.tflite").write_bytes(packed)
        folder.joinpath(f"{name}.float").write_bytes(source)
        np.savez(folder / f"{name}.npz", **arrays)
