"""Where the float reference is noise: sums that should be exactly 0 in front of a sign.

The stock converter folds batch normalization into the weights. The reference then adds up +-scale in float32, where
the packed op adds up +-1 exactly and scales once. Where scale * sum + bias is exactly 0 the reference gets some 1e-7 of
either sign, depending on the runtime. Untrained batch normalization (mean = beta = 0, even sums) does it all the time.
"""

from __future__ import annotations

import numpy as np

from .graph import Op
from .patterns import binary_kernel, constant

_RELATIVE_ROUNDING = 1e-6
"""Of the sum's largest value: some ten float32 roundings."""


def count_tie_channels(op: Op) -> int:
    """Returns how many output channels of a stock op with a binary kernel can sum to 0 within float32 rounding."""
    kernel = binary_kernel(op) if op.kind in ("CONV_2D", "FULLY_CONNECTED") else None
    bias = constant(op.input(2))
    if kernel is None:
        return 0
    scale = kernel.scale.astype(np.float64)
    shift = np.zeros_like(scale) if bias is None else bias.astype(np.float64)
    products = kernel.negative[0].size
    with np.errstate(divide="ignore", invalid="ignore"):
        nearest = np.rint(np.where(scale > 0, -shift / scale, 0))
        rest = np.abs(nearest * scale + shift)
        is_tie = (rest <= _RELATIVE_ROUNDING * (products * scale + np.abs(shift))) & (np.abs(nearest) <= products)
    is_exact = (kernel.scale == 1) & (np.rint(shift) == shift)  # sums of whole numbers have no rounding
    return int(np.count_nonzero(is_tie & (scale > 0) & ~is_exact))
