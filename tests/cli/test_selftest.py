"""The networks of the self-test: all ops, exact on all kernel sets, and wrong as soon as anything in the file is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from keras_bnn.cli.selftest import networks
from keras_bnn.cli.selftest_file import Tensor
from keras_bnn.cli.selftest_network import Network
from keras_bnn.converter.custom_ops import OPTIONS
from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.runtime import cpu_info

NETWORKS = ("plain", "residual", "int8", "uint8", "larq")


@pytest.mark.parametrize("isa", cpu_info()["supported_kernel_sets"])
def test_outputs_are_exact(isa: str) -> None:
    assert {name: network.mistakes(isa) for name, network in networks().items()} == dict.fromkeys(NETWORKS, 0)


def test_every_op_is_there() -> None:
    registry = Path(__file__).resolve().parents[2] / "cc_ops" / "ops" / "op.cc"
    of_the_library = set(re.findall(r'{"(\w+)", Origin::', registry.read_text()))
    assert of_the_library >= set(OPTIONS)
    assert {op.kind for network in networks().values() for op in network.file.ops} == of_the_library


@pytest.mark.parametrize("name", NETWORKS)
def test_every_constant_counts(name: str) -> None:
    count = len(constants(networks()[name]))
    assert count >= 3
    for place in range(count):
        network = networks()[name]
        change(constants(network)[place])
        assert network.mistakes("scalar") > 0, place


def constants(network: Network) -> list[Tensor]:
    return [tensor for tensor in network.file.tensors if tensor.values is not None]


def change(constant: Tensor) -> None:
    """Gives a constant other values: the opposite numbers, larger thresholds, or another first channel."""
    values = constant.values
    assert values is not None
    if values.dtype == np.float32:
        constant.values = -values
    elif values.ndim == 1:
        constant.values = values + 100
    else:
        constant.values = values ^ 1


def test_the_converter_reads_the_files() -> None:
    """With the schema, which the self-test writes without."""
    for network in networks().values():
        (graph,) = read_model(network.file.write()).graphs
        assert [op.kind for op in graph.ops] == [op.kind for op in network.file.ops]
        for op, written in zip(graph.ops, network.file.ops, strict=True):
            for tensor, expected in zip((*op.inputs, *op.outputs), (*written.inputs, *written.outputs), strict=True):
                assert (tensor is None) == (expected is None)
                if tensor is None or expected is None:
                    continue
                assert tensor.type_name == np.dtype(expected.dtype).name
                if expected.values is None:
                    assert tensor.dims == (-1, *expected.shape[1:])
                else:
                    np.testing.assert_array_equal(tensor.values, expected.values)
