"""Runs a packed file and its float reference on the same random inputs and says what the differences mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from .custom_ops import PACKED_KERNEL_OPS
from .exact import exact_reference
from .graph import Array, Model
from .report import Comparison, Verification

SAMPLES = 16
SEED = 0

_ROUNDING = 1e-4
"""Differences below this share of the largest output are float32 rounding: real-valued sums in another order."""


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
    except ValueError as error:
        return Verification(0, None, None, f"Not run: {error}.")
    results = [_outputs(interpreter.predict(inputs[0] if len(inputs) == 1 else inputs)) for interpreter in interpreters]
    exact, as_it_is = (_compare(results[0], other) for other in results[1:])
    return Verification(SAMPLES, exact, as_it_is, _remark(exact, as_it_is, _real_sum(model)))


def _random_inputs(specs: Any) -> list[Array]:
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
    return inputs


def _outputs(outputs: Any) -> list[Array]:
    return [np.asarray(output, np.float64) for output in (outputs if isinstance(outputs, list) else [outputs])]


def _compare(packed: list[Array], other: list[Array]) -> Comparison:
    pairs = list(zip(packed, other, strict=True))
    differences = np.max([_sample_differences(one, two) for one, two in pairs], axis=0)
    largest_value = max(float(np.max(np.abs(two), initial=0)) for two in other)
    equal = int(np.count_nonzero(differences <= _ROUNDING * largest_value))
    classes = [one.argmax(-1) == two.argmax(-1) for one, two in pairs if one.ndim > 1 and one.shape[-1] > 1]
    argmax = float(np.mean(np.concatenate([same.reshape(-1) for same in classes]))) if classes else None
    return Comparison(equal, float(differences.max()), argmax)


def _sample_differences(one: Array, two: Array) -> Array:
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


def _remark(exact: Comparison, as_it_is: Comparison, real_sum: str | None) -> str:
    if exact.equal_samples < SAMPLES and real_sum is None:
        raise ValueError(
            f"The packed file does not compute what its reference does: {SAMPLES - exact.equal_samples} of {SAMPLES} "
            f"random samples differ, by {exact.largest_difference:.3g} at most; nothing was written; please report "
            "this model."
        )
    if exact.equal_samples < SAMPLES:
        return f"Rounding of the real-valued sums of {real_sum} can turn a sign behind it, in any two runtimes."
    if as_it_is.equal_samples < SAMPLES:
        return (
            "The packed file is exact. The reference is not where a sum is exactly 0 in front of a sign, as with "
            "untrained batch normalization: it rounds the sum to either side."
        )
    return ""
