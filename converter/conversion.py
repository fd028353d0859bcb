"""`convert`: from a model to a packed .tflite file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from keras_bnn.whole_file import write_whole

from .checker import BrokenGraphError, check_graph
from .custom_ops import PACKED_KERNEL_OPS
from .flatbuffer import read_model, write_model
from .graph import Model, Op
from .int8 import check_io_type, quantize_to_int8
from .passes import find_refusals, run_pipeline
from .passes.pack_kernel import layer_name
from .passes.read_lce import LCE_KERNEL_OP
from .patterns import KERNEL_CHANNEL_AXIS, constant_bytes
from .report import ConversionReport, LeftOp, PackedOp
from .representative_data import RepresentativeData
from .runtime_version import raise_min_runtime_version
from .sources import load_reference
from .verify import verify_packed

_SOURCE_KERNELS = (*KERNEL_CHANNEL_AXIS, LCE_KERNEL_OP)
VERIFIED_BY_DEFAULT_BELOW = 50_000_000
"""Bytes of the reference."""


def convert(
    source: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    reference_path: str | os.PathLike[str] | None = None,
    verify: bool | None = None,
    representative_dataset: RepresentativeData | None = None,
    inference_input_type: str = "float32",
    inference_output_type: str = "float32",
) -> ConversionReport:
    """Packs the binary layers of a model to 1 bit a weight.

    The stock TFLite converter makes the float file, the reference, and graph passes rewrite its binary convolutions and
    dense layers to the custom ops of docs/format.md. Between two binary layers nothing but bits flows: batch
    normalization and sign become integer thresholds (arXiv:1602.02830, algorithm 5), max-pool works on bits.

    Args:
        source: A Keras model on any backend, the path of a .keras file, of a SavedModel folder or of a .tflite file, or
            a .tflite file's bytes.
        path: Where to write the packed .tflite file; None writes nothing, the bytes are in the report.
        reference_path: Where to write the float .tflite file, which runs without keras-bnn; None writes none.
        verify: Whether to run both files on random inputs and compare them. By default for references under 50 MB.
        representative_dataset: Some hundred typical inputs. With them, all that is not binary computes in int8: weights
            have one scale per output channel, activations one scale and zero point, from the range that these inputs
            give them. A function that yields lists of arrays, as for tf.lite.TFLiteConverter, or their iterable, or an
            array `[samples, ...]`, or a dict of such arrays for several inputs. Needs ai-edge-quantizer.
        inference_input_type: "float32", "int8" or "uint8": the type of float32 inputs in the quantized file.
        inference_output_type: The same for the outputs.

    Returns:
        The report: what was packed, what not and why, sizes, the verification, and both files.

    Raises:
        FileNotFoundError: when there is no such source, or no folder to write to.
        ImportError: when TensorFlow or ai-edge-quantizer is needed and not installed.
        ValueError: when the source cannot be converted, holds no binary op, or the packed file computes something else.
            Nothing is written then.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras_bnn.layers.BinaryDense(4)])
    >>> report = keras_bnn.convert(model, verify=False)
    >>> [(op.kind, op.bytes_after) for op in report.packed]
    [('BnnFullyConnected', 48)]
    """
    for target in (path, reference_path):
        if target is not None:
            _check_target(Path(target))
    is_quantized = representative_dataset is not None
    check_io_type("inference_input_type", inference_input_type, is_quantized=is_quantized)
    check_io_type("inference_output_type", inference_output_type, is_quantized=is_quantized)
    reference = unpacked = load_reference(source)
    if representative_dataset is not None:
        unpacked = quantize_to_int8(
            reference,
            _rewritten_names(reference),
            representative_dataset,
            input_type=inference_input_type,
            output_type=inference_output_type,
        )
    model = read_model(unpacked)
    before = {op: (layer_name(op), constant_bytes(op)) for op in model.ops if op.kind in _SOURCE_KERNELS}
    was_packed = any(op.is_packed for op in model.ops)
    _pack(model)
    packed_ops = [op for op in model.ops if op.kind in PACKED_KERNEL_OPS]
    if not packed_ops:
        raise ValueError(_nothing_binary(model))
    is_changed = not was_packed or any(op in before for op in packed_ops)
    if is_changed:
        raise_min_runtime_version(model)
    packed = write_model(model) if is_changed else unpacked
    is_verified = verify if verify is not None else len(reference) < VERIFIED_BY_DEFAULT_BELOW
    verification = verify_packed(unpacked, packed, model) if is_verified and is_changed else None
    report = ConversionReport(
        packed=tuple(_packed_op(op, before.get(op)) for op in packed_ops),
        left=_left_ops(model),
        unchanged=_unchanged(model),
        reference_bytes=len(reference),
        packed_bytes=len(packed),
        verification=verification,
        path=None if path is None else os.fspath(path),
        model=packed,
        reference=reference,
    )
    for target, content in ((reference_path, reference), (path, packed)):
        if target is not None:
            write_whole(target, content)
    return report


def _pack(model: Model) -> None:
    """Runs the passes."""
    for graph in model.graphs:
        run_pipeline(graph)
        try:
            check_graph(graph)
        except BrokenGraphError as error:
            raise ValueError(f"The file's shapes contradict each other, or keras-bnn misreads it: {error}.") from error


def _rewritten_names(reference: bytes) -> set[str]:
    """The names of the tensors that ops compute which the passes remove, replace or move: binary layers."""
    model = read_model(reference)
    before = {(op.kind, op.name) for op in model.ops}
    _pack(model)
    if not any(op.kind in PACKED_KERNEL_OPS for op in model.ops):
        raise ValueError(_nothing_binary(model))
    return {name for _, name in before - {(op.kind, op.name) for op in model.ops}}


def _packed_op(op: Op, before: tuple[str, int] | None) -> PackedOp:
    x, weights, parameter, y = op.input(0), op.input(1), op.input(2), op.output
    assert x is not None
    assert weights is not None
    assert parameter is not None
    name, bytes_before = before or (weights.name.removesuffix("/weights"), constant_bytes(op))
    return PackedOp(
        name=name,
        kind=op.kind,
        input_type=_data_type(x.type_name),
        output_type=_data_type(y.type_name),
        shape=(*y.dims[:-1], parameter.dims[0]),
        bytes_before=bytes_before,
        bytes_after=constant_bytes(op),
    )


def _data_type(type_name: str) -> str:
    return "bits" if type_name == "int32" else type_name


def _left_ops(model: Model) -> tuple[LeftOp, ...]:
    found = {op: refusal for graph in model.graphs for op, _, refusal in reversed(find_refusals(graph))}
    return tuple(LeftOp(op.name, op.kind, found[op].reason, found[op].remedy) for op in model.ops if op in found)


def _unchanged(model: Model) -> dict[str, int]:
    left = {op for graph in model.graphs for op, _, _ in find_refusals(graph)}
    return dict(Counter(op.kind for op in model.ops if not op.is_packed and op not in left))


def _nothing_binary(model: Model) -> str:
    left = _left_ops(model)
    if left:
        return f"No op could be packed; {left[0].sentence}"
    return (
        "The model holds no binary op: no convolution or dense layer has weights of one absolute value per output "
        "channel; build it with keras_bnn.layers, for example BinaryDense and BinaryConv2D."
    )


def _check_target(path: Path) -> None:
    if path.suffix != ".tflite":
        raise ValueError(f"{path} is no place for a .tflite file: pass a path that ends in .tflite.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent}: create it, or pass another path.")
