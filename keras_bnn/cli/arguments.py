"""Types of command line arguments."""

from __future__ import annotations

import argparse
import math

from keras_bnn.whole_number import LARGEST


def positive_int(text: str) -> int:
    """Returns the number, or refuses it as wrong usage."""
    value = int(text)
    if not 1 <= value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {LARGEST}")
    return value


def positive_seconds(text: str) -> float:
    """Returns the number, or refuses it as wrong usage."""
    value = float(text)
    if not (0 < value < math.inf):
        raise argparse.ArgumentTypeError(f"{text} is not greater than 0")
    return value
