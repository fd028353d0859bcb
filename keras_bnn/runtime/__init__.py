"""Runs packed .tflite files on the stock runtime that is installed. Needs numpy and that runtime, nothing else.

>>> interpreter = keras_bnn.runtime.Interpreter("model.tflite", num_threads=2)  # doctest: +SKIP
>>> probabilities = interpreter.predict(images)  # doctest: +SKIP

People who drive their own interpreter take the delegate instead:

>>> from ai_edge_litert.interpreter import Interpreter  # doctest: +SKIP
>>> delegate = keras_bnn.runtime.load_delegate()  # doctest: +SKIP
>>> interpreter = Interpreter("model.tflite", experimental_delegates=[delegate])  # doctest: +SKIP
"""

from __future__ import annotations

from keras_bnn.runtime.interpreter import Interpreter, TensorSpec
from keras_bnn.runtime.library import CpuInfo, cpu_info, delegate_path
from keras_bnn.runtime.memory import PartitionMemory, weight_bytes
from keras_bnn.runtime.profile import OpProfile, measure_peak
from keras_bnn.runtime.stock import StockRuntime, load_delegate, stock_runtime

__all__ = [
    "CpuInfo",
    "Interpreter",
    "OpProfile",
    "PartitionMemory",
    "StockRuntime",
    "TensorSpec",
    "cpu_info",
    "delegate_path",
    "load_delegate",
    "measure_peak",
    "stock_runtime",
    "weight_bytes",
]
