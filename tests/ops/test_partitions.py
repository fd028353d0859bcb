"""Several ops together: what lies in one partition, what crosses its border, resizes, and interpreters side by side."""

from __future__ import annotations

import threading
from random import Random

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from format_reference import pack, run_packed
from support import draw
from support.delegate import Session, assert_equals_reference, assert_same_bits
from support.model_builder import ModelBuilder
from support.networks import random_network


class _Net:
    """Appends ops on images of 40 channels, so that tests read as the graph that they build."""

    def __init__(self, shape: tuple[int, ...] = (2, 6, 5, 40)) -> None:
        self._builder = ModelBuilder()
        self._rng = np.random.default_rng(shape[1])
        self._shape, self._words = shape, (*shape[:-1], 2)
        self.x = self._builder.tensor(shape, np.float32)

    def quantize(self, x: int) -> int:
        bits = self._builder.tensor(self._words, np.int32)
        self._builder.custom("BnnQuantize", [x], [bits], {"version": 1})
        return bits

    def convolve(self, x: int, output: type, pad_value: int = 0) -> int:
        if output is np.int32:
            parameters = [draw.thresholds(self._rng, 40, 360)]
        else:
            parameters = list(draw.multiplier_and_bias(self._rng, 40, 360))
        constants = [pack(draw.signs(self._rng, (40, 3, 3, 40))), *parameters]
        y = self._builder.tensor(self._words if output is np.int32 else self._shape, output)
        options = {"version": 1, "channels_in": 40, "padding": 0, "pad_value": pad_value}
        self._builder.custom("BnnConv2D", [x, *(self._builder.constant(values) for values in constants)], [y], options)
        return y

    def residual(self, x: int, shortcut: int) -> tuple[int, int]:
        """A convolution of bits plus the shortcut: the sum and its bits."""
        parameters = draw.multiplier_and_bias(self._rng, 40, 360)
        constants = [pack(draw.signs(self._rng, (40, 3, 3, 40))), *parameters]
        inputs = [x, *(self._builder.constant(values) for values in constants), shortcut]
        outputs = self._builder.tensor(self._shape, np.float32), self._builder.tensor(self._words, np.int32)
        options = {"version": 1, "channels_in": 40, "padding": 0, "steps": 1}
        self._builder.custom("BnnConv2D", inputs, outputs, options)
        return outputs

    def pool(self, x: int) -> int:
        y = self._builder.tensor(self._words, np.int32)
        window = {"window_h": 3, "window_w": 2, "stride_h": 1, "stride_w": 1}
        self._builder.custom("BnnMaxPool2D", [x], [y], {"version": 1, "padding": 0, **window})
        return y

    def add(self, x: int, y: int) -> int:
        total = self._builder.tensor(self._shape, np.float32)
        self._builder.stock(schema.BuiltinOperator.ADD, [x, y], [total], schema.AddOptionsT())
        return total

    def build(self, *outputs: int) -> bytes:
        return self._builder.build([self.x], outputs)

    def image(self, *shape: int) -> list[np.ndarray]:
        return [draw.inputs(np.random.default_rng(sum(shape)), "float32", shape or self._shape)]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_values_inside_a_partition_are_outputs_too(isa: str, num_threads: int) -> None:
    net = _Net()
    bits = net.quantize(net.x)
    middle = net.convolve(bits, np.int32)
    pooled = net.pool(middle)
    last = net.convolve(pooled, np.float32)
    model = net.build(last, middle, bits)
    assert_equals_reference(model, net.image(), isa, num_threads)


def test_a_value_inside_a_partition_is_read_by_a_stock_op(isa: str) -> None:
    net = _Net()
    first = net.convolve(net.quantize(net.x), np.float32)
    second = net.convolve(net.quantize(first), np.float32)
    assert_equals_reference(net.build(net.add(first, second)), net.image(), isa)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_sums_and_their_bits_in_and_out_of_a_partition(isa: str, num_threads: int) -> None:
    """Two outputs of one op: both inside the partition, either one or both read outside."""
    net = _Net()
    sums, bits = [net.x], [net.quantize(net.x)]
    for _ in range(4):
        total, signs = net.residual(bits[-1], sums[-1])
        sums.append(total)
        bits.append(signs)
    model = net.build(net.add(sums[2], sums[4]), bits[3], sums[3])
    assert_equals_reference(model, net.image(), isa, num_threads)
    session = Session(model, isa, num_threads)
    for shape in ((1, 7, 3, 40), (3, 2, 9, 40)):
        inputs = net.image(*shape)
        assert_same_bits(session.run(inputs), run_packed(model, inputs))


def test_one_value_feeds_several_ops(isa: str) -> None:
    net = _Net()
    bits = net.quantize(net.x)
    left, right = net.convolve(net.pool(bits), np.float32), net.convolve(bits, np.float32, pad_value=-1)
    third = net.convolve(bits, np.int32, pad_value=1)
    assert_equals_reference(net.build(net.add(left, right), third), net.image(), isa)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_two_partitions_with_a_stock_op_between(isa: str, num_threads: int) -> None:
    net = _Net()
    first = net.add(net.x, net.convolve(net.quantize(net.x), np.float32))
    second = net.convolve(net.convolve(net.quantize(first), np.int32), np.float32)
    assert_equals_reference(net.build(second), net.image(), isa, num_threads)


def test_residual_blocks(isa: str) -> None:
    """Three partitions, each fed by the sum of the one before and its own input."""
    net = _Net()
    x = net.x
    for _ in range(3):
        x = net.add(x, net.convolve(net.quantize(x), np.float32))
    assert_equals_reference(net.build(x), net.image(), isa)


def test_a_file_without_custom_ops_is_left_alone(isa: str) -> None:
    net = _Net()
    assert_equals_reference(net.build(net.add(net.x, net.add(net.x, net.x))), net.image(), isa)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_other_batches_and_image_sizes_between_runs(isa: str, num_threads: int) -> None:
    net = _Net()
    first = net.add(net.x, net.convolve(net.pool(net.quantize(net.x)), np.float32))
    model = net.build(net.convolve(net.quantize(first), np.float32, pad_value=1), first)
    session = Session(model, isa, num_threads)
    for shape in [
        (1, 6, 5, 40),
        (3, 6, 5, 40),
        (2, 6, 5, 40),
        (2, 1, 1, 40),
        (1, 17, 9, 40),
        (0, 6, 5, 40),
        (4, 2, 13, 40),
    ]:
        inputs = net.image(*shape)
        assert_same_bits(session.run(inputs), run_packed(model, inputs))


def test_runs_leave_nothing_behind(isa: str) -> None:
    network = random_network(Random(11), 5)
    session = Session(network.model, isa)
    inputs = network.inputs()
    expected = run_packed(network.model, inputs)
    other = [np.flip(x).copy() for x in inputs]
    for _ in range(3):
        assert_same_bits(session.run(inputs), expected)
        assert_same_bits(session.run(other), run_packed(network.model, other))


def test_two_interpreters_take_turns(isa: str) -> None:
    networks = [random_network(Random(seed), 4) for seed in (1, 2)]
    sessions = [Session(network.model, isa, num_threads=2) for network in networks]
    for batch in (1, 3, 2):
        for network, session in zip(networks, sessions, strict=True):
            inputs = network.inputs(batch)
            assert_same_bits(session.run(inputs), run_packed(network.model, inputs))


def test_interpreters_run_at_the_same_time(isa: str) -> None:
    """Four Python threads, each with an interpreter of two threads, start together."""
    networks = [random_network(Random(seed), 4) for seed in range(4)]
    expected = [run_packed(network.model, network.inputs()) for network in networks]
    barrier = threading.Barrier(len(networks))
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            session = Session(networks[index].model, isa, num_threads=2)
            barrier.wait(timeout=60)
            for _ in range(20):
                assert_same_bits(session.run(networks[index].inputs()), expected[index])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(networks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
