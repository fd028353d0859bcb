"""Callbacks for `fit` and binary networks."""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.callbacks.flip_ratio_logger import FlipRatioLogger
from keras_bnn.callbacks.hyperparameter_scheduler import HyperparameterScheduler
from keras_bnn.callbacks.settle_batch_normalization import SettleBatchNormalization, settle_batch_normalization

__all__ = ["FlipRatioLogger", "HyperparameterScheduler", "SettleBatchNormalization", "settle_batch_normalization"]
