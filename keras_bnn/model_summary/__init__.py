"""`keras_bnn.summary(model)`: bits, weights, memory and multiply-accumulates of each layer."""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.model_summary.layer_summary import LayerSummary, ModelSummary
from keras_bnn.model_summary.summarize import summary

__all__ = ["LayerSummary", "ModelSummary", "summary"]
