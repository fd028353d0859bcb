"""From a float .tflite file to one that computes in int8, but for its binary layers.

ai-edge-quantizer works on the file and takes a rule for each op: all ops become int8, except those that the passes
pack. They stay float32 between a DEQUANTIZE and a QUANTIZE, which the passes then drop, so that a packed op reads and
writes int8 and its sums stay exact.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Collection, Iterator
from typing import Any

from keras_bnn.quiet import quiet_output

from .flatbuffer import read_model, write_model
from .graph import Graph, Model, Tensor
from .passes import run_pass
from .passes.fix_quantize_shape import FixQuantizeShape
from .quantization import UINT8_OFFSET, affine, per_tensor
from .quantizer_input import prepare_for_quantizer
from .representative_data import RepresentativeData, representative_samples
from .schema import OP_CODES, schema

IO_TYPES = ("float32", "int8", "uint8")


def check_io_type(argument: str, type_name: str, *, is_quantized: bool) -> None:
    """Checks the type asked for of a model's inputs or outputs.

    Raises:
        ValueError: for an unknown type, or an integer one without representative dataset.
    """
    if type_name not in IO_TYPES:
        raise ValueError(f"{argument} is {type_name!r}: pass one of {', '.join(IO_TYPES)}.")
    if type_name != "float32" and not is_quantized:
        raise ValueError(f"{argument} is {type_name!r}, which needs calibration: pass representative_dataset too.")


def quantize_to_int8(
    reference: bytes,
    packed_names: Collection[str],
    data: RepresentativeData,
    *,
    input_type: str = "float32",
    output_type: str = "float32",
) -> bytes:
    """Returns the file with all ops in int8 but those to be packed: weights per channel, activations per tensor.

    Args:
        reference: A float .tflite file.
        packed_names: The names of the tensors that the ops compute which stay float32.
        data: See `representative_samples`.
        input_type: "float32", "int8" or "uint8": the type of all inputs that are float32.
        output_type: The same for the outputs.

    Raises:
        ImportError: when ai-edge-quantizer is not installed.
        ValueError: when the file is quantized or packed already, when the dataset holds no sample or does not fit the
            inputs, or when ai-edge-quantizer cannot quantize the file.
    """
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise ImportError(
            "Quantizing to int8 needs ai-edge-quantizer, which is not installed: pip install 'keras-bnn[int8]'."
        ) from error
    model = read_model(reference)
    if any(per_tensor(tensor) is not None for graph in model.graphs for tensor in graph.tensors if tensor.producer):
        raise ValueError("The file is quantized already: pass a float32 one, or leave out representative_dataset.")
    custom = next((op.kind for op in model.ops if op.kind not in OP_CODES), None)
    if custom is not None:
        raise ValueError(f"The file holds the op {custom}, which the calibration cannot run: pass the float32 model.")
    samples = list(representative_samples(data, model.graphs[0], _input_names(model)))
    if not samples:
        raise ValueError("representative_dataset holds no sample: pass some hundred typical inputs.")
    model.graphs[0].outputs = list(dict.fromkeys(model.graphs[0].outputs))  # ai-edge-quantizer spoils those named twice
    has_signature = bool(model.signatures)
    prepare_for_quantizer(model)
    with _quiet():
        work = quantizer.Quantizer(write_model(model, share_buffers=False))
        _set_recipe(work, packed_names, input_type, output_type)
        try:
            ranges = work.calibrate({model.signatures[0].key: samples})
            if not ranges:  # all ops are packed, and inputs and outputs stay float32
                return reference
            result = work.quantize(ranges, enable_progress_report=False)
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"ai-edge-quantizer cannot quantize this model ({str(error).splitlines()[0]}): convert it without int8."
            ) from error
    quantized = read_model(bytes(result.quantized_model))
    for graph in quantized.graphs:
        run_pass(graph, FixQuantizeShape())
    _set_io_types(quantized, input_type, output_type)
    if not has_signature:
        quantized.signatures.clear()
    quantized.attachments = model.attachments
    return write_model(quantized)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps progress bars off the terminal, and the warning that calibration takes memory."""
    with quiet_output(1, 2), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        yield


def _input_names(model: Model) -> dict[str, str]:
    """The name that a user knows each input by: the signature's, or the tensor's in a file without signature."""
    graph = model.graphs[0]
    names = {tensor.name: tensor.name for tensor in graph.inputs}
    for signature in model.signatures[:1]:
        names |= {tensor.name: name for name, tensor in signature.inputs}
    return names


def _set_recipe(work: Any, packed_names: Collection[str], input_type: str, output_type: str) -> None:
    """Later rules win. A rule names the tensors that an op computes, each of which ends in a semicolon."""
    from ai_edge_quantizer.qtyping import TFLOperationName as Ops

    every_op, float32 = ".*", "no_quantize"
    work.add_static_config(every_op, Ops.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for name in packed_names:
        work.update_quantization_recipe(f"^{re.escape(name)};$", Ops.ALL_SUPPORTED, algorithm_key=float32)
    for kind, type_name in ((Ops.INPUT, input_type), (Ops.OUTPUT, output_type)):  # also of an op that is packed
        every_end = f"{every_op}(?#{kind.value})"  # rules are in the order of their expressions, so it is a new one
        if type_name == "float32":
            work.update_quantization_recipe(every_end, kind, algorithm_key=float32)
        else:
            work.add_static_config(every_end, kind, activation_num_bits=8, weight_num_bits=8)


def _set_io_types(model: Model, input_type: str, output_type: str) -> None:
    graph = model.graphs[0]
    if input_type == "uint8":
        for index, tensor in enumerate(graph.inputs):
            if tensor.type_name == "int8":
                graph.inputs[index] = _uint8_input(graph, tensor)
                _rename(model, tensor, graph.inputs[index])
    if output_type == "uint8":
        for index, tensor in enumerate(graph.outputs):
            if tensor.type_name == "int8":
                graph.outputs[index] = _uint8_output(graph, tensor)
                _rename(model, tensor, graph.outputs[index])


def _uint8_input(graph: Graph, tensor: Tensor) -> Tensor:
    """Puts a uint8 input in front of an int8 one; the new one takes its name, by which users know it."""
    twin = _uint8_twin(graph, tensor)
    graph.add_op("QUANTIZE", [twin], [tensor], schema.QuantizeOptionsT(), before=graph.ops[0])
    return twin


def _uint8_output(graph: Graph, tensor: Tensor) -> Tensor:
    twin = _uint8_twin(graph, tensor)
    graph.add_op("QUANTIZE", [tensor], [twin], schema.QuantizeOptionsT())
    return twin


def _uint8_twin(graph: Graph, tensor: Tensor) -> Tensor:
    quantization = per_tensor(tensor)
    assert quantization is not None
    scale, zero_point = quantization
    quantization_record = affine(float(scale), zero_point + UINT8_OFFSET)
    twin = graph.add_tensor(tensor.name, tensor.dims, "uint8", quantization=quantization_record)
    tensor.record.name = f"{tensor.name}/int8"
    return twin


def _rename(model: Model, old: Tensor, new: Tensor) -> None:
    """Makes signatures name the new tensor."""
    for signature in model.signatures:
        signature.inputs = [(name, new if tensor is old else tensor) for name, tensor in signature.inputs]
        signature.outputs = [(name, new if tensor is old else tensor) for name, tensor in signature.outputs]
    for graph in model.graphs:
        if old in graph.pinned:
            graph.pinned.remove(old)
            graph.pinned.add(new)
