"""The passes, and the one place that says which run and in what order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph import Graph, Op
from ..patterns import KERNEL_CHANNEL_AXIS
from .base import Match, Pass, Refusal
from .canonicalize import Canonicalize
from .dense_from_matmul import DenseFromMatMul
from .drop_reshape import DropReshape
from .drop_sign import DropSign
from .emit_bits import EmitBits
from .factor_kernel import FactorKernel
from .fix_quantize_shape import FixQuantizeShape
from .fix_reshape import FixReshape
from .fold_dilation import FoldDilation
from .fold_padding import FoldPadding
from .fold_scale import FoldScale
from .fold_shift import FoldShift
from .fold_step import FoldStep
from .join_bits import JoinBits
from .keep_rank import KeepRank
from .lift_kernel import LiftKernel
from .lower_bits import LowerBits
from .lower_reshape import LowerReshape
from .merge_equal import MergeEqual
from .pack_kernel import PackKernel, find_packable
from .pool_signs import PoolSigns
from .raise_reshape import RaiseReshape
from .raise_scale import RaiseScale
from .raise_sign import RaiseSign
from .read_bits import ReadBits
from .read_int8 import ReadInt8
from .read_lce import ReadLce
from .read_rows import ReadRows
from .recognize_sign import RecognizeSign
from .write_int8 import WriteInt8

__all__ = [
    "PIPELINE",
    "STOCK_PASSES",
    "Match",
    "Pass",
    "Refusal",
    "find_packing",
    "find_refusals",
    "run_pass",
    "run_pipeline",
]

STOCK_PASSES: tuple[Pass[Any], ...] = (
    FixQuantizeShape(),  # first, since all others compare shapes
    LiftKernel(),  # before any other that looks at kernels and signs: they know float32 ones
    DenseFromMatMul(),  # what has no packed op becomes what has one
    FactorKernel(),  # kernels become binary before anything asks whether they are
    RaiseReshape(),  # a sign is recognized where nothing stands inside it
)
"""Rewritings from stock ops to stock ops; the reference with exact sums has them too."""

PIPELINE: tuple[Pass[Any], ...] = (
    ReadLce(),  # first, so that all others meet the ops of one format only
    *STOCK_PASSES,
    RecognizeSign(),  # early, while binary kernels are still stock ops: only signs that one of them reads
    MergeEqual(),  # two layers that sign one tensor share its bits, and each sign has one BnnQuantize
    KeepRank(),  # before packing, since BnnFullyConnected keeps leading dimensions and has no rows to restore
    PackKernel(),  # right for any x; the next passes only have packed ops to look for
    Canonicalize(),  # after signs and kernels are known, in front of what folds MUL and ADD
    FoldDilation(),  # before padding, which then stands next to the convolution
    FoldPadding(),  # a VALID convolution and its pad
    LowerReshape(),  # before folding, which a reshape in between would stop
    RaiseScale(),  # before folding, which a max-pool in between would stop
    FoldScale(),  # after dilation, whose ops stand between a convolution and its batch normalization
    FoldStep(),  # what could not be folded into multiplier and bias, and shortcuts
    FixReshape(),  # shape computations would count as users of the tensors that the next passes connect
    RaiseSign(),  # signs move towards the inputs ...
    DropSign(),  # ... and leave signs of signs behind, which would hide the moved op from its packed users
    FoldShift(),  # after signs moved, which only move where nothing stands between
    PoolSigns(),  # where batch normalization could not move in front of the max-pool, or had no packed op there
    ReadRows(),  # before reshapes are lowered: a dense op reads through a flatten and needs none
    ReadBits(),  # between packed ops nothing but bits
    JoinBits(),  # from both sides: signs in front of a concatenation, bits behind it
    LowerBits(),  # bits move towards the outputs
    DropReshape(),  # behind lowering, which makes reshapes of words out of two that stood apart
    ReadInt8(),  # before bits are emitted: sums of integers are exact, so that their signs are thresholds
    EmitBits(),  # late: it ends the float expression of an op, so nothing can be folded into it any more
    WriteInt8(),  # last, since other passes look for float32 outputs
)


def run_pass(graph: Graph, pass_: Pass[Any]) -> bool:
    """Rewrites every match of one pass until none is left; returns whether there was one."""
    changed, pending = False, list(graph.ops)
    while pending:
        matched = False
        for op in pending:
            match = _matched(pass_, graph, op) if op in graph.ops else None
            if isinstance(match, Match):
                pass_.rewrite(graph, match)
                changed = matched = True
        pending = list(graph.ops) if matched else []
    return changed


def run_pipeline(graph: Graph, *, after_pass: Callable[[Graph, str], None] | None = None) -> None:
    """Runs the passes until none finds anything to do; each runs only when those before it are done.

    Args:
        graph: The graph to rewrite.
        after_pass: Called with the graph and the pass's name after each pass that changed something; tests check the
            graph here.
    """
    index = 0
    while index < len(PIPELINE):
        pass_ = PIPELINE[index]
        changed = run_pass(graph, pass_)
        if changed and after_pass is not None:
            after_pass(graph, pass_.name)
        index = 0 if changed else index + 1


def find_refusals(graph: Graph) -> list[tuple[Op, str, Refusal]]:
    """Returns each place that a pass refuses in a finished graph: the op, the pass's name and the refusal."""
    refusals = []
    for op in graph.ops:
        for pass_ in PIPELINE:
            refusal = _matched(pass_, graph, op)
            if isinstance(refusal, Refusal):
                refusals.append((op, pass_.name, refusal))
    return refusals


def find_packing(graph: Graph, op: Op) -> Refusal | bool:
    """Returns whether an op's kernel will be packed, perhaps rewritten before, or why not where it looks binary."""
    if op.kind not in KERNEL_CHANNEL_AXIS:
        return False
    refusals = []
    for pass_ in STOCK_PASSES:
        match = _matched(pass_, graph, op)
        if isinstance(match, Match):
            return True
        refusals += [match] if isinstance(match, Refusal) else []
    found = find_packable(op)
    if isinstance(found, Refusal) and not refusals:
        return found
    return refusals[0] if refusals else found is not None


def _matched(pass_: Pass[Any], graph: Graph, op: Op) -> Match | Refusal | None:
    """What a pass says of an op; nothing of one that computes nothing, such as ASSIGN_VARIABLE."""
    return pass_.match(graph, op) if op.outputs else None
