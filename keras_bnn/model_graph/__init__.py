"""A model's graph for those who read it: layer calls in order, and how many bits flow between them."""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.model_graph.bits import REAL_BITS, dtype_bits, gives_signs, keeps_values, output_bits, precision
from keras_bnn.model_graph.graph import LayerCall, ModelGraph, OwnWeights

__all__ = [
    "REAL_BITS",
    "LayerCall",
    "ModelGraph",
    "OwnWeights",
    "dtype_bits",
    "gives_signs",
    "keeps_values",
    "output_bits",
    "precision",
]
