"""How long the ops of the delegate take, and how long they would take at best."""

from __future__ import annotations

import os
from dataclasses import dataclass

from keras_bnn.runtime.library import OpProfileStruct, cpu_info, load_library
from keras_bnn.whole_number import whole_number


@dataclass(frozen=True)
class OpProfile:
    """An op that the delegate runs.

    Attributes:
        partition: Ops of one number run one after the other, as one node of the runtime.
        node: The op's index in its subgraph of the file.
        name: What it is, such as "BnnConv2D".
        output: The name of its first output tensor.
        nanoseconds: How long its last run took; 0 before the first.
    """

    partition: int
    node: int
    name: str
    output: str
    nanoseconds: int


def read_profile(delegate_pointer: int) -> list[OpProfile]:
    """Returns the ops of a delegate's interpreters, in the order in which they run.

    Args:
        delegate_pointer: The address of the TfLiteDelegate.
    """
    read = load_library().KerasBnnGetProfile
    count = read(delegate_pointer, None, 0)
    ops = (OpProfileStruct * count)()
    read(delegate_pointer, ops, count)
    return [OpProfile(op.partition, op.node, _text(op.name), _text(op.output), op.nanoseconds) for op in ops]


def _text(name: bytes) -> str:
    return name.decode(errors="replace")  # as it stands in the file


def measure_peak(x_bits: int = 1, num_threads: int = 1, isa: str | None = None) -> float:
    """Measures how many multiply-accumulates per second a kernel set does at most on this machine.

    It times the sums alone, of binary weights with inputs from the first cache; that takes some tens of milliseconds.

    Args:
        x_bits: Bits of an input: 1 for signs, 8 or 32 for the real input of a first layer.
        num_threads: Threads that do so at the same time.
        isa: Kernel set, one of `cpu_info()["supported_kernel_sets"]`; the chosen one when None.

    Raises:
        ValueError: when an argument has no meaning.

    Example:

    >>> keras_bnn.runtime.measure_peak(num_threads=2) > keras_bnn.runtime.measure_peak(x_bits=32)
    True
    """
    info = cpu_info()
    name = isa or info["chosen_kernel_set"] or os.environ["KERAS_BNN_ISA"]  # which is the reason when none is chosen
    if name not in info["supported_kernel_sets"]:
        raise ValueError(f"There are no kernels {name!r}; those that run here are {info['supported_kernel_sets']}.")
    num_threads = whole_number("num_threads", num_threads)
    if whole_number("x_bits", x_bits) not in (1, 8, 32):
        raise ValueError(f"x_bits is {x_bits}: pass 1, 8 or 32.")
    return float(load_library().KerasBnnMeasurePeak(name.encode(), int(x_bits), num_threads))
