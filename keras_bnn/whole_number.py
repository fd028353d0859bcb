"""Arguments that are whole numbers."""

from __future__ import annotations

import operator

LARGEST = 2**31 - 1
"""What the runtimes' and the library's own numbers hold."""


def whole_number(name: str, value: object, advice: str = "") -> int:
    """Returns an argument that must be a whole number from 1 up, as Python's own; numpy's are such too.

    Args:
        name: The argument's name.
        value: What came.
        advice: What else may be passed.

    Raises:
        ValueError: when it is something else.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 1 <= number <= LARGEST:
        raise ValueError(f"{name} is {value!r}: pass a whole number from 1 to {LARGEST}{advice}.")
    return number
