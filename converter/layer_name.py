"""Names for people: which layer an op comes from."""

from __future__ import annotations

from .graph import Op
from .kernel_shape import BITS_KERNEL_OPS, KERNEL_OPS
from .patterns import data_input

_LAYER_LEAVES = ("convolution", "Conv2D", "MatMul", "Tensordot")
_SIGN_LEAF = "SelectV2"
_WEIGHTS = "/weights"


def layer_name(op: Op) -> str:
    """Returns the part of an op's tensor names that names the layer, for example "model/conv_1"."""
    weights = op.input(1)
    if op.kind not in KERNEL_OPS or weights is None:
        return op.name.split(";")[0]
    if op.kind in BITS_KERNEL_OPS and weights.name.endswith(_WEIGHTS):  # as pack_kernel names them
        return weights.name.removesuffix(_WEIGHTS)
    names = [name for tensor in (op.output, weights) for name in tensor.name.split(";")]
    sign = data_input(op)
    if sign is not None and sign.name.rpartition("/")[2].startswith(_SIGN_LEAF):  # the layer that multiplies took it
        names.append(sign.name)
    for name in names:
        scope, _, leaf = name.rpartition("/")
        if scope and leaf.startswith((*_LAYER_LEAVES, _SIGN_LEAF)):
            return scope.removesuffix("/Tensordot")
    return names[0]
