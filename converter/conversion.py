"""`convert`: from a model to a packed .tflite file."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_bnn.whole_file import check_apart, check_writable, write_all_whole

from .advice import find_constant_channels, find_constant_signs, find_real_inputs
from .checker import BrokenGraphError, check_graph
from .custom_ops import PACKED_KERNEL_OPS
from .flatbuffer import read_model, write_model
from .graph import Graph, Model, Op, Tensor
from .int8 import check_io_type, quantize_to_int8
from .kernel_shape import KERNEL_OPS
from .layer_name import layer_name
from .multiply_accumulates import multiply_accumulates, precision
from .passes import Refusal, find_refusals, run_pipeline
from .patterns import constant_bytes, data_input
from .report import ConversionReport, LeftOp, ReportedOp
from .representative_data import RepresentativeData
from .runtime_version import raise_min_runtime_version
from .sign_ops import ops_of_sign
from .sources import load_reference
from .tensor_bits import data_type, shape_in_channels, value_bits
from .verify import verify_packed

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
    for name, target in (("path", path), ("reference_path", reference_path)):
        if target is not None:
            _check_target(name, target, source)
    if path is not None and reference_path is not None:
        check_apart(path, reference_path)
    is_quantized = representative_dataset is not None
    check_io_type("inference_input_type", inference_input_type, is_quantized=is_quantized)
    check_io_type("inference_output_type", inference_output_type, is_quantized=is_quantized)
    if verify not in (None, True, False):
        raise ValueError(f"verify is {verify!r}: pass True or False, or None to verify what is under 50 MB.")
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
    before = {op: _Before(op.kind, layer_name(op), constant_bytes(op), op.input(1)) for op in model.ops}
    signs = _advice(model, find_constant_signs)
    was_packed = any(op.is_packed for op in model.ops)
    _pack(model)
    packed_ops = [op for op in model.ops if op.kind in PACKED_KERNEL_OPS]
    if not packed_ops:
        raise ValueError(_nothing_binary(model))
    is_changed = not was_packed or any(op in before and op.kind != before[op].kind for op in packed_ops)
    if is_changed:
        raise_min_runtime_version(model)
    packed = write_model(model) if is_changed else unpacked
    is_verified = verify if verify is not None else len(reference) < VERIFIED_BY_DEFAULT_BELOW
    verification = verify_packed(unpacked, packed, model) if is_verified and is_changed else None
    refusals = _refusals(model)
    channels = () if signs else _advice(model, find_constant_channels)  # a sign's reason is nearer to its remedy
    report = ConversionReport(
        ops=_reported_ops(model, before, refusals),
        left=_left_ops(refusals),
        advice=(*signs, *channels, *_advice(model, find_real_inputs)),
        replaced=_replaced(model, before),
        reference_bytes=len(reference),
        packed_bytes=len(packed),
        verification=verification,
        path=None if path is None else os.fspath(path),
        model=packed,
        reference=reference,
    )
    contents = ((reference_path, reference), (path, packed))
    write_all_whole({target: content for target, content in contents if target is not None})
    return report


def _pack(model: Model) -> None:
    """Runs the passes."""
    for graph in model.graphs:
        run_pipeline(graph)
        try:
            check_graph(graph)
        except BrokenGraphError as error:
            raise ValueError(
                f"The file's shapes contradict each other, or keras-bnn misreads it ({error}): export it again, and "
                "report the model if that does not help."
            ) from error


def _rewritten_names(reference: bytes) -> set[str]:
    """The names of the tensors that ops compute that the passes remove, replace or move, or that carry signs."""
    model = read_model(reference)
    before = {(op.kind, op.name) for op in model.ops}
    _pack(model)
    if not any(op.kind in PACKED_KERNEL_OPS for op in model.ops):
        raise ValueError(_nothing_binary(model))
    signs = {sign.name for op in model.ops if op.kind in PACKED_KERNEL_OPS for sign in ops_of_sign(op.input(0))}
    return signs | {name for _, name in before - {(op.kind, op.name) for op in model.ops}}


@dataclass(frozen=True)
class _Before:
    """An op of the float file."""

    kind: str
    layer: str
    constant_bytes: int
    weights: Tensor | None


def _reported_ops(model: Model, before: Mapping[Op, _Before], refusals: Mapping[Op, Refusal]) -> tuple[ReportedOp, ...]:
    kernels: defaultdict[Tensor | str | None, set[_Before]] = defaultdict(set)
    for one in before.values():
        if one.kind in KERNEL_OPS:
            kernels[one.weights].add(one)
            kernels[one.layer].add(one)
    return tuple(_reported_op(op, before, kernels, is_left=op in refusals) for op in model.ops)


def _reported_op(
    op: Op, before: Mapping[Op, _Before], kernels: Mapping[Tensor | str | None, set[_Before]], *, is_left: bool
) -> ReportedOp:
    x, size = data_input(op), constant_bytes(op)
    sources = {before[op]} if op in before else set()
    if op.kind in PACKED_KERNEL_OPS:  # it may have become what another op behind the kernel was, as a sum
        sources |= kernels[op.input(1)] | kernels[layer_name(op)]
    return ReportedOp(
        name=before[op].layer if op in before and op.kind not in PACKED_KERNEL_OPS else layer_name(op),
        kind=op.kind,
        outcome="packed" if op.is_packed else "left" if is_left else "unchanged",
        input_type="" if x is None else data_type(x),
        output_types=tuple(data_type(tensor) for tensor in op.outputs),
        input_bits=value_bits(x),
        output_bits=tuple(value_bits(tensor) for tensor in op.outputs),
        shape=shape_in_channels(op.output) if op.outputs else (),
        bytes_before=sum(one.constant_bytes for one in sources) if sources else size,
        bytes_after=size,
        macs=multiply_accumulates(op),
        precision=precision(op) if op.kind in KERNEL_OPS else "",
    )


def _replaced(model: Model, before: Mapping[Op, _Before]) -> dict[str, int]:
    """How many ops without a kernel of each kind there are no more."""
    were = Counter(one.kind for one in before.values() if one.kind not in KERNEL_OPS)
    return dict(were - Counter(op.kind for op in model.ops))


def _advice(model: Model, find: Callable[[Graph], list[tuple[Op, Refusal]]]) -> tuple[LeftOp, ...]:
    found = [one for graph in model.graphs for one in find(graph)]
    return tuple(LeftOp(op.name, op.kind, advice.reason, advice.remedy) for op, advice in found)


def _refusals(model: Model) -> dict[Op, Refusal]:
    """The first refusal of each op that has one, in the order of the ops."""
    found: dict[Op, Refusal] = {}
    for graph in model.graphs:
        for op, _, refusal in find_refusals(graph):
            found.setdefault(op, refusal)
    return found


def _left_ops(refusals: Mapping[Op, Refusal]) -> tuple[LeftOp, ...]:
    return tuple(LeftOp(op.name, op.kind, one.reason, one.remedy) for op, one in refusals.items())


def _nothing_binary(model: Model) -> str:
    left = _left_ops(_refusals(model))
    if left:
        return f"No op could be packed; {left[0].sentence}"
    return (
        "The model holds no binary op: no convolution or dense layer has weights of one absolute value per output "
        "channel; build it with keras_bnn.layers, for example BinaryDense and BinaryConv2D."
    )


def _check_target(name: str, path: str | os.PathLike[str], source: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{name} is of the type {type(path).__name__}: pass a path that ends in .tflite.")
    if os.fspath(path) and Path(path).suffix != ".tflite":  # check_writable refuses the empty one
        raise ValueError(f"{os.fspath(path)} is no place for a .tflite file: pass a path that ends in .tflite.")
    check_writable(path)
    if isinstance(source, str | os.PathLike):
        check_apart(path, source)
