"""Small whole .tflite files that the fuzzer damages: packed ones with every op, and float ones for the converter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_bnn.cli.selftest import networks
from keras_bnn.converter import convert
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Graph, Model, Signature
from support.float_graphs import SAME, FloatGraph


@dataclass(frozen=True)
class SeedFile:
    """A file, and a batch of what it takes."""

    name: str
    content: bytes
    x: np.ndarray


def seed_files() -> list[SeedFile]:
    """Returns the files, always the same."""
    seeds = []
    for name, network in networks().items():
        graph = read_model(network.file.write()).graphs[0]
        dims, dtype = graph.inputs[0].dims, graph.inputs[0].type_name
        seeds.append(SeedFile(name, write_model(_signed(graph)), _input((2, *dims[1:]), dtype)))
    for make in (_float_network, _float_residual):
        graph = make()
        content = write_model(_signed(graph))
        x = _input((2, *graph.inputs[0].dims[1:]), "float32")
        seeds.append(SeedFile(make.__name__, content, x))
        seeds.append(SeedFile(f"{make.__name__}_packed", convert(content, verify=False).model, x))
    return seeds


def _input(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, shape).astype(dtype)


def _signed(graph: Graph) -> Model:
    """The model with names for its inputs and outputs, as converters write them."""
    inputs = [(f"input_{index}", tensor) for index, tensor in enumerate(graph.inputs)]
    outputs = [(f"output_{index}", tensor) for index, tensor in enumerate(graph.outputs)]
    return Model([graph], [Signature("serving_default", graph, inputs, outputs)])


def _float_network() -> FloatGraph:
    """A first layer with real pixels, a binary one, a pool, a dense layer."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 6, 3))
    y = graph.conv(x, graph.kernel((8, 3, 3, 3)), graph.bias(8))
    y = graph.conv(graph.sign(y), graph.kernel((40, 3, 3, 8)), graph.bias(40), padding=SAME)
    flat = graph.op(
        "RESHAPE", [graph.pool(graph.sign(y)), graph.integers([-1, 160])], (-1, 160), schema.ReshapeOptionsT()
    )
    graph.outputs = [graph.dense(flat, graph.kernel((5, 160)), graph.bias(5))]
    return graph


def _float_residual() -> FloatGraph:
    """Two binary convolutions, each with a shortcut."""
    graph = FloatGraph(1)
    y = graph.add_input("x", (-1, 5, 5, 8))
    for _ in range(2):
        sums = graph.conv(graph.sign(y), graph.kernel((8, 3, 3, 8)), graph.bias(8), padding=SAME)
        y = graph.op("ADD", [sums, y], y.dims, schema.AddOptionsT())
    graph.outputs = [y]
    return graph
