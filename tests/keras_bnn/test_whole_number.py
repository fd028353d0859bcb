"""What counts as a whole number."""

from __future__ import annotations

import numpy as np
import pytest

from keras_bnn.whole_number import LARGEST, whole_number


@pytest.mark.parametrize("value", [1, 7, True, np.int64(2), np.uint8(3), np.array(4), LARGEST])
def test_whole_numbers(value: object) -> None:
    number = whole_number("n", value)
    assert type(number) is int or number is True
    assert number == value


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 1.0, 2.5, float("nan"), "1", None, [1], np.float32(2)])
def test_others(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"^n is .*: pass a whole number from 1 to 2147483647, or nothing\.$"
    ) as caught:
        whole_number("n", value, ", or nothing")
    assert repr(value) in str(caught.value)
