"""What the delegate holds in memory."""

from __future__ import annotations

from dataclasses import dataclass

from keras_bnn.runtime.library import MemoryStruct, load_library


@dataclass(frozen=True)
class PartitionMemory:
    """What a partition, packed ops that run as one node of the runtime, holds besides the runtime's tensors, in bytes.

    Attributes:
        activations: The tensors between its ops. The partitions of an interpreter have one place for them, which is as
            large as the largest of these.
        scratch: What its ops need to run, on all threads.
        weights: Repacked for the kernel set. Equal ones are held once for all interpreters of the process.
    """

    activations: int
    scratch: int
    weights: int


def read_memory(delegate_pointer: int) -> list[PartitionMemory]:
    """Returns the memory of the partitions of a delegate's interpreters.

    Args:
        delegate_pointer: The address of the TfLiteDelegate.
    """
    read = load_library().KerasBnnGetMemory
    count = read(delegate_pointer, None, 0)
    partitions = (MemoryStruct * count)()
    read(delegate_pointer, partitions, count)
    return [PartitionMemory(each.activations, each.scratch, each.weights) for each in partitions]


def weight_bytes() -> int:
    """Returns the bytes of repacked weights that all interpreters of the process hold together.

    Example:

    >>> keras_bnn.runtime.weight_bytes()
    0
    """
    return int(load_library().KerasBnnWeightBytes())
