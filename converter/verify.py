"""Runs a packed file and its float reference on the same random inputs and says what the differences mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from .custom_ops import PACKED_KERNEL_OPS
from .graph import Array, Model
from .report import Verification

SAMPLES = 16
SEED = 0

_ROUNDING = 1e-4
"""Differences below this share of the largest output are float32 rounding: sums in another order, scaled once."""


def verify_packed(reference: bytes, packed: bytes, model: Model, ties: dict[str, int]) -> Verification:
    """Compares two files.

    Args:
        reference: The float file.
        packed: The packed file.
        model: The packed file as a graph.
        ties: Number of channels of each op that can sum to exactly 0 in front of a sign.

    Raises:
        ValueError: when the files differ and neither ties nor rounding in front of a sign can be the cause.
    """
    try:
        from keras_bnn.runtime import Interpreter

        interpreters = [Interpreter(content) for content in (reference, packed)]
    except (ImportError, OSError) as error:
        return Verification(0, 0, 0.0, None, f"not run, since no runtime is at hand: {error}")
    try:
        drawn = _random_inputs(interpreters[0].inputs)
    except ValueError as error:
        return Verification(0, 0, 0.0, None, f"not run: {error}")
    one, other = (_outputs(interpreter.predict(drawn[0] if len(drawn) == 1 else drawn)) for interpreter in interpreters)
    differences = np.max([_sample_differences(a, b) for a, b in zip(one, other, strict=True)], axis=0)
    scale = max(float(np.max(np.abs(output), initial=0)) for output in one)
    equal = int(np.count_nonzero(differences <= _ROUNDING * max(scale, 1e-6)))
    largest, argmax = float(differences.max()), _equal_argmax(one, other)
    remark = _remark(equal, len(differences), largest, argmax, _cause(model, ties))
    return Verification(len(differences), equal, largest, argmax, remark)


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


def _sample_differences(one: Array, other: Array) -> Array:
    differences = np.where(one == other, 0.0, np.abs(one - other))
    return np.nan_to_num(differences.reshape(len(one), -1), nan=np.inf).max(axis=1, initial=0.0)


def _equal_argmax(one: list[Array], other: list[Array]) -> float | None:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a.ndim > 1 and a.shape[-1] > 1]
    if not pairs:
        return None
    return float(np.mean(np.concatenate([(a.argmax(-1) == b.argmax(-1)).reshape(-1) for a, b in pairs])))


def _cause(model: Model, ties: dict[str, int]) -> str | None:
    """What can turn a sign between the two files, though both are right."""
    if ties:
        name = max(ties, key=lambda name: ties[name])
        return (
            f"{sum(ties.values())} channels (most of them in {name}) can sum to exactly 0 in front of a sign, as with "
            "untrained batch normalization; the reference rounds such a sum to either sign, the packed file is exact"
        )
    for op in model.ops:
        x = op.input(0)
        real_sum = op.kind in PACKED_KERNEL_OPS and x is not None and x.type_name != "int32"
        computed = op.kind == "BnnQuantize" and x is not None and x.producer is not None
        if real_sum or computed:
            return f"{op.name} sums real numbers, whose rounding can turn a sign that is within it of 0"
    return None


def _remark(equal: int, samples: int, largest: float, argmax: float | None, cause: str | None) -> str:
    text = f"{equal} of {samples} random samples agree up to float32 rounding, largest difference {largest:.3g}"
    if argmax is not None:
        text += f", {argmax:.1%} equal arg-max"
    if equal == samples:
        return f"{text}."
    if cause is None:
        raise ValueError(
            f"The packed file does not compute what its reference does ({text}), and no sum can round to 0 in front of "
            "a sign: nothing was written; please report this model."
        )
    return f"{text}; {cause}."
