"""Optimizers for binary networks, which `model.compile` takes like Keras's own.

>>> optimizer = SplitOptimizer(binary=Bop(threshold=1e-6), other=keras.optimizers.Adam(1e-3))
>>> type(optimizer.binary).__name__
'Bop'
"""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.optimizers.bop import Bop
from keras_bnn.optimizers.shift_adamax import ShiftAdaMax
from keras_bnn.optimizers.split_optimizer import SplitOptimizer, is_binary_kernel

__all__ = ["Bop", "ShiftAdaMax", "SplitOptimizer", "is_binary_kernel"]
