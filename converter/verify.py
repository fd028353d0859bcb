"""Runs a packed file and its float reference on the same random inputs and says what the differences mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from .custom_ops import PACKED_KERNEL_OPS
from .exact import exact_reference
from .graph import Array, Model, Tensor
from .quantization import per_tensor, quantization_of
from .report import Comparison, Verification

SAMPLES = 16
SEED = 0

_ROUNDING = 1e-4
"""Differences below this share of the largest output are float32 rounding: real-valued sums in another order."""

_STEPS = 2
"""Differences up to this many steps of a quantized output are rounding too: another kernel may round a tie to the other
side, and integer ops behind it carry that on."""

_ENOUGH_EQUAL = SAMPLES // 2
"""Rounding of ties meets few samples of a quantized file, a wrong one differs in nearly all."""


def verify_packed(reference: bytes, packed: bytes, model: Model) -> Verification:
    """Compares a packed file with its reference, as it is and with exact sums.

    Args:
        reference: The float file.
        packed: The packed file.
        model: The packed file as a graph.

    Raises:
        ValueError: when the packed file computes something else than the reference with exact sums, and no rounding
            in front of a sign can be the cause.
    """
    try:
        from keras_bnn.runtime import Interpreter

        interpreters = [Interpreter(packed)]
    except (ImportError, OSError) as error:
        return Verification(0, None, None, f"Not run, since no runtime is at hand: {error}")
    try:
        interpreters += [Interpreter(content) for content in (exact_reference(reference), reference)]
    except ValueError as error:  # a custom op of others, which stays in the packed file or is replaced there
        return Verification(0, None, None, f"Not run, since the source does not run here: {error}")
    try:
        inputs = _random_inputs(interpreters[0].inputs)
        expected = [_outputs(interpreter.predict(inputs)) for interpreter in interpreters[1:]]
    except ValueError as error:  # the reference does not run on samples either
        return Verification(0, None, None, f"Not run: {str(error).rstrip('.')}.")
    outputs = _outputs(interpreters[0].predict(inputs))
    steps = [_step(model.graphs[0].tensors[spec.index]) for spec in interpreters[0].outputs]
    exact, as_it_is = (_compare(outputs, other, steps) for other in expected)
    remark = _remark(exact, as_it_is, _real_sum(model), _is_quantized(model))
    return Verification(SAMPLES, exact, as_it_is, " ".join(filter(None, (remark, _not_run(model)))))


def _random_inputs(specs: Any) -> Any:
    random = np.random.default_rng(SEED)
    inputs = []
    for spec in specs:
        if None in spec.shape[1:]:
            raise ValueError(f"the size of the input {spec.name!r} is free, so there is no typical one to draw")
        shape = (SAMPLES, *spec.shape[1:])
        if spec.dtype.kind == "f":
            inputs.append(random.standard_normal(shape).astype(spec.dtype))
        elif spec.dtype in (np.int8, np.uint8):
            limits = np.iinfo(spec.dtype)
            inputs.append(random.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True))
        else:
            raise ValueError(f"the input {spec.name!r} is {spec.dtype}, whose range the file does not tell")
    return inputs[0] if len(inputs) == 1 else inputs


def _outputs(outputs: Any) -> list[Array]:
    return [np.asarray(output, np.float64) for output in (outputs if isinstance(outputs, list) else [outputs])]


def _step(output: Tensor) -> float:
    """The smallest difference of two values of an output that comes from integers, as the interpreter returns it."""
    op = output.producer
    if output.type_name != "float32":
        return 1.0
    integers = per_tensor(op.input(0)) if op is not None and op.kind == "DEQUANTIZE" else None
    return 0.0 if integers is None else float(integers[0])


def _not_run(model: Model) -> str:
    """Says which signatures have packed ops that the first subgraph does not run."""
    others = [signature for signature in model.signatures if signature.graph is not model.graphs[0]]
    keys = [repr(one.key) for one in others if any(op.kind in PACKED_KERNEL_OPS for op in one.graph.ops)]
    return f"Only the first subgraph was run, not {', '.join(keys)}." if keys else ""


def _is_quantized(model: Model) -> bool:
    return any(quantization_of(tensor) is not None for graph in model.graphs for tensor in graph.tensors)


def _compare(packed: list[Array], other: list[Array], steps: list[float]) -> Comparison:
    pairs = list(zip(packed, other, strict=True))
    of_outputs = np.stack([_sample_differences(one, two) for one, two in pairs])
    differences = of_outputs.max(axis=0)
    largest_value = max(float(np.max(np.abs(two), initial=0, where=np.isfinite(two))) for two in other)
    tolerances = [max(_ROUNDING * largest_value, _STEPS * step * (1 + _ROUNDING)) for step in steps]
    equal = int(np.count_nonzero((of_outputs <= np.reshape(tolerances, (-1, 1))).all(axis=0)))
    classes = [one.argmax(-1) == two.argmax(-1) for one, two in pairs if one.ndim > 1 and one.shape[-1] > 1]
    argmax = float(np.mean(np.concatenate([same.reshape(-1) for same in classes]))) if classes else None
    return Comparison(equal, float(differences.max()), argmax)


def _sample_differences(one: Array, two: Array) -> Array:
    if one.ndim == 0:  # a value of all samples together
        one, two = (np.full(SAMPLES, value) for value in (one, two))
    with np.errstate(invalid="ignore"):
        differences = np.where((one == two) | (np.isnan(one) & np.isnan(two)), 0.0, np.abs(one - two))
    return np.nan_to_num(differences.reshape(len(one), -1), nan=np.inf).max(axis=1, initial=0.0)


def _real_sum(model: Model) -> str | None:
    """The name of an op that sums real numbers in front of a sign: its rounding can turn the sign."""
    for op in model.ops:
        x = op.input(0)
        is_first_layer = op.kind in PACKED_KERNEL_OPS and x is not None and x.type_name != "int32"
        reads_computed = op.kind == "BnnQuantize" and x is not None and x.producer is not None
        if is_first_layer or reads_computed:
            return op.name
    return None


def _remark(exact: Comparison, as_it_is: Comparison, real_sum: str | None, is_quantized: bool) -> str:
    enough = _ENOUGH_EQUAL if is_quantized else SAMPLES
    if exact.equal_samples < enough and real_sum is None:
        raise ValueError(
            f"The packed file does not compute what its reference does: {SAMPLES - exact.equal_samples} of {SAMPLES} "
            f"random samples differ, by {exact.largest_difference:.3g} at most; nothing was written; please report "
            "this model."
        )
    if exact.equal_samples < SAMPLES and real_sum is None:
        return "An int8 output rounds ties to either side, and the ops behind it carry that on."
    if exact.equal_samples < SAMPLES:
        return f"Rounding of the real-valued sums of {real_sum} can turn a sign behind it, in any two runtimes."
    if as_it_is.equal_samples < SAMPLES and is_quantized:
        return (
            "The packed file is exact in its binary layers. The reference is not where it adds up +-scale, or int8 in "
            "place of +-1, and rounds the sums before it takes their signs."
        )
    if as_it_is.equal_samples < SAMPLES:
        return (
            "The packed file is exact. The reference is not where a sum is exactly 0 in front of a sign, as with "
            "untrained batch normalization: it rounds the sum to either side."
        )
    return ""
