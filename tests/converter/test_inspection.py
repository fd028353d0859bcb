"""What an inspection says of packed files, of Larq Compute Engine's and of stock ones, against plain numpy."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import VALID, FloatGraph
from support.lce_graphs import RandomLceGraph
from support.packed_words import signs_of, words_of

from keras_bnn.converter import InspectedOp, Inspection, convert, inspect
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Graph, Model
from keras_bnn.converter.inspection.read import inspect_model

F = np.float32
INT32 = np.iinfo(np.int32)


def unique_count(signs: np.ndarray, groups: int = 1) -> int:
    """Counts filters, given as [O, kh, kw, C / groups], that differ from the others on the same input channel."""
    seen = set()
    for filter_ in range(len(signs)):
        for channel in range(signs.shape[3]):
            taps = signs[filter_, :, :, channel].ravel()
            taps = taps * taps[0]  # an inverse is the same filter
            group = filter_ // (len(signs) // groups)
            seen.add((group, channel, *taps.tolist()))
    return len(seen)


def random_signs(shape: tuple[int, ...], seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.3, -1, 1)


def inspected(graph: Graph) -> Inspection:
    return inspect_model(Model([graph]), "graph.tflite", 0)


def only(inspection: Inspection, kind: str) -> InspectedOp:
    (op,) = [op for op in inspection.ops if op.kind == kind]
    return op


def test_both_files(source: bytes, tmp_path: Path) -> None:
    unpacked, packed = tmp_path / "unpacked.tflite", tmp_path / "packed.tflite"
    convert(source, packed, reference_path=unpacked, verify=False)
    before, after = inspect(unpacked), inspect(str(packed))
    assert (before.packed_ops, before.packable_ops) == (0, 3)
    assert (after.packed_ops, after.packable_ops) == (3, 0)
    (reason,) = [op.reason for op in before.ops if op.reason]
    assert "absolute values" in reason
    bits = [(op.kind, op.shape, op.output_bits, op.weight_bits) for op in after.ops if op.kind.startswith("Bnn")]
    assert bits == [
        ("BnnConv2D", (-1, 8, 8, 32), 1, 1),
        ("BnnMaxPool2D", (-1, 4, 4, 32), 1, None),
        ("BnnConv2D", (-1, 3, 3, 40), 1, 1),
        ("BnnFullyConnected", (-1, 20), 32, 1),
    ]
    first, conv, dense, last = 8 * 8 * 32 * 27, 3 * 3 * 40 * 128, 360 * 20, 20 * 5
    assert after.macs == {"1x1": conv + dense, "1x32": first, "32x32": last}
    assert before.macs == {"32x32": conv + dense + first + last}
    assert after.binary_mac_share == (conv + dense) / (conv + dense + first + last)
    assert before.binary_mac_share == 0
    assert after.unique_filter_share == before.unique_filter_share
    assert after.file_bytes == packed.stat().st_size
    assert "3 ops have a binary kernel and could be packed" in str(before)
    for inspection in (before, after):
        assert max(map(len, str(inspection).splitlines()[2:])) <= 100
        as_dict = json.loads(json.dumps(inspection.to_dict()))
        assert as_dict["file_bytes"] == inspection.file_bytes
        assert as_dict["macs"] == inspection.macs
        assert [op["kind"] for op in as_dict["ops"]] == [op.kind for op in inspection.ops]


def test_flow(source: bytes, tmp_path: Path) -> None:
    """Each tensor knows its producer and users, and each op its tensors; constants do not flow."""
    convert(source, tmp_path / "packed.tflite", verify=False)
    inspection = inspect(tmp_path / "packed.tflite")
    for index, tensor in enumerate(inspection.tensors):
        assert tensor.producer is None or index in inspection.ops[tensor.producer].outputs
        assert list(tensor.users) == [number for number, op in enumerate(inspection.ops) if index in op.inputs]
    assert [tensor.name for tensor in inspection.tensors if tensor.producer is None] == ["x"]
    assert [tensor.shape for tensor in inspection.tensors if tensor.is_output] == [(-1, 5)]
    flows = [(tensor.data, tensor.bits) for tensor in inspection.tensors]
    assert flows.count(("bits", 1)) == 3
    assert ("bool", 8) in flows
    first = inspection.ops[0]
    assert [inspection.tensors[index].data for index in (*first.inputs, *first.outputs)] == ["float32", "bits"]


def test_kernel_of_a_stock_convolution() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 9, 9, 6))
    signs = random_signs((50, 2, 2, 6))
    signs[7] = -1
    y = graph.conv(x, (signs * 0.25).astype(F))
    real = graph.rng.normal(size=(4, 1, 1, 50)).astype(F)
    graph.outputs = [graph.conv(y, real)]
    binary, other = (op.kernel for op in inspected(graph).ops)
    assert binary is not None
    assert other is not None
    assert (binary.shape, binary.is_binary) == ((2, 2, 6, 50), True)
    assert binary.negative_share == np.mean(signs < 0)
    assert (binary.unique_filters, binary.filters) == (unique_count(signs), 300)
    assert binary.weights is not None
    assert (binary.weights.low, binary.weights.high, sum(binary.weights.counts)) == (0, 100, 50)
    assert binary.weights.counts[-1] == 1  # filter 7 is -1 alone
    assert (other.is_binary, other.negative_share, other.filters) == (False, None, 0)
    assert other.weights is not None
    assert (other.weights.low, other.weights.high) == (float(real.min()), float(real.max()))
    edges = np.linspace(real.min(), real.max(), len(other.weights.counts) + 1)
    expected = [int(((real >= low) & (real < high)).sum()) for low, high in itertools.pairwise(edges)]
    expected[-1] += 1  # the largest itself
    assert list(other.weights.counts) == expected


def test_depthwise_and_transposed_stock_kernels() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 6, 3))
    depthwise = random_signs((2, 2, 12))  # 4 filters on each input channel
    depthwise[..., 1] = -depthwise[..., 0]
    graph.op("DEPTHWISE_CONV_2D", [x, graph.constant(depthwise[None].astype(F))], (-1, 5, 5, 12))
    transposed = random_signs((9, 2, 3, 3))
    shape = graph.integers([1, 12, 18, 9])
    graph.op("TRANSPOSE_CONV", [shape, graph.constant(transposed.astype(F)), x], (-1, 12, 18, 9))
    one, two = (op.kernel for op in inspected(graph).ops)
    assert one is not None
    assert two is not None
    channels_last = np.moveaxis(depthwise, -1, 0)[..., None]
    assert (one.unique_filters, one.filters) == (unique_count(channels_last, groups=3), 12)
    assert (two.unique_filters, two.filters) == (unique_count(transposed), 27)
    assert one.negative_share == np.mean(depthwise < 0)


def packed_graph(
    kind: str, words: np.ndarray, channels: int, parameters: dict[str, np.ndarray], **options: int
) -> Graph:
    """One packed op on the bits of a 6 x 6 image, or of rows."""
    graph = Graph()
    leading = (-1,) if kind == "BnnFullyConnected" else (-1, 6, 6)
    x = graph.add_input("x", (*leading, channels))
    bits = graph.add_tensor("bits", (*leading, -(-channels // 32)), np.int32)
    graph.add_op("BnnQuantize", [x], [bits], {})
    constants = [graph.add_constant(name, values) for name, values in {"layer/weights": words, **parameters}.items()]
    filters = len(next(iter(parameters.values())))
    y = graph.add_tensor("y", (*leading, filters), F)
    steps = graph.add_tensor("y/bits", (*leading, -(-filters // 32)), np.int32)
    outputs = [steps] if "thresholds" in parameters else [y, steps]
    graph.add_op(kind, [bits, *constants], outputs, {"channels_in": channels, **options})
    graph.outputs = outputs
    return graph


def test_thresholds() -> None:
    """Sums of 2 x 2 x 40 products lie between -160 and 160; a sum below the threshold gives -1."""
    signs = random_signs((9, 2, 2, 40))
    thresholds = np.array([INT32.min, INT32.max, -160, -159, 0, 4, 160, 161, 161], np.int32)
    graph = packed_graph("BnnConv2D", words_of(signs), 40, {"thresholds": thresholds}, padding=0)
    op = only(inspected(graph), "BnnConv2D")
    kernel = op.kernel
    assert kernel is not None
    assert kernel.shape == (2, 2, 40, 9)
    assert (kernel.always_plus, kernel.always_minus) == (2, 3)
    assert kernel.thresholds is not None
    assert (kernel.thresholds.low, kernel.thresholds.high, sum(kernel.thresholds.counts)) == (-159, 160, 4)
    assert kernel.negative_share == np.mean(signs < 0)
    assert (kernel.unique_filters, kernel.filters) == (unique_count(signs), 360)
    assert kernel.multipliers is None
    assert op.layer == "layer"


def test_two_outputs_and_steps() -> None:
    signs = random_signs((40, 2, 2, 16))
    parameters = {"multiplier": np.linspace(0.5, 2, 40, dtype=F), "bias": np.zeros(40, F), "shift": np.ones(40, F)}
    steps = 0x8145  # ReLU, PReLU, add, first output; the operands do not matter here
    options = {"padding": 0, "groups": 2, "steps": steps, "activation": 1}
    inspection = inspected(packed_graph("BnnConv2D", words_of(signs), 32, parameters, **options))
    op = only(inspection, "BnnConv2D")
    assert op.steps == ("ReLU", "ReLU", "PReLU", "add", "first output")
    assert [(inspection.tensors[index].data, inspection.tensors[index].shape[-1]) for index in op.outputs] == [
        ("float32", 40),
        ("bits", 40),
    ]
    kernel = op.kernel
    assert kernel is not None
    assert (kernel.unique_filters, kernel.filters) == (unique_count(signs, groups=2), 40 * 16)
    assert kernel.multipliers is not None
    assert (kernel.multipliers.low, kernel.multipliers.high) == (0.5, 2)
    assert "32+1" in str(inspection)


def test_other_packed_kernels() -> None:
    thresholds = {"thresholds": np.zeros(36, np.int32)}
    depthwise = random_signs((3, 3, 36))
    kernel = only(
        inspected(packed_graph("BnnDepthwiseConv2D", words_of(depthwise), 18, thresholds, padding=0)),
        "BnnDepthwiseConv2D",
    ).kernel
    assert kernel is not None
    channels_last = np.moveaxis(depthwise, -1, 0)[..., None]
    assert (kernel.shape, kernel.filters) == ((3, 3, 1, 36), 36)
    assert kernel.unique_filters == unique_count(channels_last, groups=18)
    transposed = random_signs((36, 2, 2, 18))
    kernel = only(
        inspected(packed_graph("BnnTransposeConv2D", words_of(transposed), 18, thresholds)), "BnnTransposeConv2D"
    ).kernel
    assert kernel is not None
    assert (kernel.unique_filters, kernel.filters) == (unique_count(transposed), 36 * 18)
    dense = random_signs((36, 40))
    kernel = only(
        inspected(packed_graph("BnnFullyConnected", words_of(dense), 40, thresholds)), "BnnFullyConnected"
    ).kernel
    assert kernel is not None
    assert (kernel.shape, kernel.filters, kernel.negative_share) == ((40, 36), 0, np.mean(dense < 0))


def test_dense_kernel_behind_a_flatten() -> None:
    """Pixels of 40 channels leave unused bits inside a row; they are no weights."""
    graph = Graph()
    x = graph.add_input("x", (-1, 2, 3, 40))
    bits = graph.add_tensor("bits", (-1, 2, 3, 2), np.int32)
    graph.add_op("BnnQuantize", [x], [bits], {})
    signs = random_signs((7, 6, 40))
    words = words_of(signs).reshape(7, 12)
    constants = [graph.add_constant("w", words), graph.add_constant("t", np.zeros(7, np.int32))]
    y = graph.add_tensor("y", (-1, 1), np.int32)
    graph.add_op("BnnFullyConnected", [bits, *constants], [y], {"channels_in": 240})
    kernel = only(inspected(graph), "BnnFullyConnected").kernel
    assert kernel is not None
    assert kernel.negative_share == np.mean(signs < 0)


def test_words_that_are_moved_stay_bits() -> None:
    graph = Graph()
    x = graph.add_input("x", (-1, 4, 40))
    bits = graph.add_tensor("bits", (-1, 4, 2), np.int32)
    graph.add_op("BnnQuantize", [x], [bits], {})
    rows, flat = graph.add_tensor("rows", (-1, 1, 4, 2), np.int32), graph.add_tensor("flat", (-1, 8), np.int32)
    graph.add_op("RESHAPE", [bits, graph.add_constant("a", np.array([-1, 1, 4, 2], np.int32))], [rows])
    graph.add_op("RESHAPE", [rows, graph.add_constant("b", np.array([-1, 8], np.int32))], [flat])
    numbers = graph.add_tensor("shape", (2,), np.int32)
    graph.add_op("SHAPE", [flat], [numbers])
    found = {tensor.name: (tensor.data, tensor.shape) for tensor in inspected(graph).tensors}
    assert found["rows"] == ("bits", (-1, 1, 4, 40))
    assert found["flat"] == ("bits", (-1, 160))
    assert found["shape"] == ("int32", (2,))


def lce_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Writes a file of Larq Compute Engine; returns the signs of its two kernels."""
    graph = RandomLceGraph()
    x = graph.lce_quantize(graph.add_input("image", (-1, 12, 12, 3)))
    # 27 products, m of them -1, give the sum 27 - 2 m; a bit is set where m is above the threshold
    thresholds = np.array([INT32.max, INT32.min, -1, 27, 10, *[13] * 35], np.int32)
    x = graph.lce_pool(graph.lce_conv(x, 3, 40, padding=VALID, thresholds=thresholds))
    parameters = {"multiplier": np.linspace(1, 2, 6, dtype=F), "bias": np.zeros(6, F)}
    y = graph.lce_conv(x, 40, 6, (2, 2), padding=VALID, **parameters)
    graph.outputs = [graph.lce("LceDequantize", [graph.lce_quantize(y)], y.dims, F)]
    path.write_bytes(write_model(Model([graph])))
    one, two = (op.input(1) for op in graph.find("LceBconv2d"))
    assert one is not None
    assert two is not None
    return signs_of(one.values, 3), signs_of(two.values, 40)


def test_larq_compute_engine(tmp_path: Path) -> None:
    one, two = lce_file(tmp_path / "larq.tflite")
    inspection = inspect(tmp_path / "larq.tflite")
    assert [(op.kind, op.shape, op.input_bits, op.output_bits, op.weight_bits) for op in inspection.ops] == [
        ("LceQuantize", (-1, 12, 12, 3), 32, 1, None),
        ("LceBconv2d", (-1, 10, 10, 40), 1, 1, 1),
        ("LceBMaxPool2d", (-1, 5, 5, 40), 1, 1, None),
        ("LceBconv2d", (-1, 4, 4, 6), 1, 32, 1),
        ("LceQuantize", (-1, 4, 4, 6), 32, 1, None),
        ("LceDequantize", (-1, 4, 4, 6), 1, 32, None),
    ]
    assert inspection.macs == {"1x1": 10 * 10 * 40 * 27 + 4 * 4 * 6 * 160}
    first, second = (op.kernel for op in inspection.ops if op.kernel is not None)
    assert (first.unique_filters, first.filters) == (unique_count(one), 120)
    assert (second.unique_filters, second.filters) == (unique_count(two), 240)
    assert (first.negative_share, second.negative_share) == (np.mean(one < 0), np.mean(two < 0))
    assert (first.always_plus, first.always_minus) == (2, 2)  # INT32_MAX and 27 of 27; INT32_MIN and -1
    assert first.thresholds is not None
    assert (first.thresholds.low, first.thresholds.high) == (27 - 2 * 13, 27 - 2 * 10)
    assert second.multipliers is not None
    assert (second.multipliers.low, second.multipliers.high) == (1, 2)
    assert inspection.packed_ops == 2


@pytest.mark.parametrize("options", [None, b"no flexbuffer", b"\x00"])
def test_damaged_larq_file(options: bytes | None, tmp_path: Path) -> None:
    graph = RandomLceGraph()
    y = graph.lce_conv(graph.lce_quantize(graph.add_input("x", (-1, 5, 5, 8))), 8, 4)
    assert y.producer is not None
    y.producer.options = None if options is None else np.frombuffer(options, np.uint8)
    graph.outputs = [y]
    path = tmp_path / "damaged.tflite"
    path.write_bytes(write_model(Model([graph])))
    with pytest.raises(ValueError, match=r"^LceBconv2d lcebconv2d_1 has no options or weights to read: convert .*\.$"):
        inspect(path)


def test_weights_of_types_that_numpy_lacks(tmp_path: Path) -> None:
    """Four bits a weight: the sizes are told, the weights are not."""
    graph = FloatGraph()
    y = graph.dense(graph.add_input("x", (-1, 8)), np.ones((4, 8), F))
    weights = y.producer.input(1) if y.producer is not None else None
    assert weights is not None
    weights.record.type, weights.buffer = schema.TensorType.INT4, np.zeros(16, np.uint8)
    graph.outputs = [y]
    path = tmp_path / "int4.tflite"
    path.write_bytes(write_model(Model([graph])))
    op = only(inspect(path), "FULLY_CONNECTED")
    assert (op.weight_bits, op.constant_bytes, op.kernel, op.macs, op.precision) == (4, 16, None, 32, "4x32")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.tflite"):
        inspect(tmp_path / "nowhere.tflite")
    path = tmp_path / "text.tflite"
    path.write_text("text")
    with pytest.raises(ValueError, match=r"not a \.tflite file"):
        inspect(path)


def test_names_without_the_model() -> None:
    graph = FloatGraph()
    y = graph.add_input("x", (-1, 8))
    for name in ("model/a/MatMul;model/a/BiasAdd", "model/b/MatMul", "StatefulPartitionedCall:0"):
        y = graph.dense(y, graph.rng.normal(size=(8, 8)).astype(F))
        y.record.name = name
    lines = str(inspected(graph)).splitlines()
    assert [line.split()[0] for line in lines[4:7]] == ["a", "b", "StatefulPartitionedCall:0"]


def test_damaged_bytes(tmp_path: Path) -> None:
    """Whatever byte is wrong, the file is shown or refused in one sentence."""
    lce_file(tmp_path / "larq.tflite")
    whole = np.frombuffer((tmp_path / "larq.tflite").read_bytes(), np.uint8)
    rng = np.random.default_rng(3)
    sentences = []
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(len(whole))] = rng.choice([0, 1, 127, 255])
        (tmp_path / "damaged.tflite").write_bytes(damaged.tobytes())
        try:
            inspection = inspect(tmp_path / "damaged.tflite")
        except ValueError as error:
            sentences.append(str(error))
        else:
            assert str(inspection)
            assert inspection.to_html()
    assert 0 < len(sentences) < 60
    assert not any("\n" in sentence for sentence in sentences)
