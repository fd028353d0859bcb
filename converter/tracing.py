"""Keras models and SavedModels through the stock TFLite converter: the only files that import Keras and TensorFlow.

A model on another backend than TensorFlow is saved as .keras and traced by a second Python, since a process has one
Keras backend from start to end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from keras_bnn.quiet import quiet_output

from .flatbuffer import read_model, write_model

_DTYPE_POLICY_CLASSES = ("DTypePolicy", "FloatDTypePolicy")


def trace_keras_model(model: Any) -> bytes:
    """Returns the float .tflite file of a Keras model on any backend; its batch dimension stays free."""
    _require_tensorflow(in_this_process=False)
    import keras

    if not model.built:
        raise ValueError(f"The model {model.name!r} is not built: call it on data once, or give it an Input.")
    if keras.backend.backend() == "tensorflow":
        return _trace_on_tensorflow(_with_float32_policy(model))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return _trace_in_subprocess(path)


def trace_keras_file(path: Path) -> bytes:
    """Returns the float .tflite file of a saved Keras model, whichever backend it was trained on."""
    _require_tensorflow(in_this_process=False)
    import keras

    if keras.backend.backend() != "tensorflow":
        return _trace_in_subprocess(path)
    import keras_bnn.layers  # noqa: F401  registers the layers that the file may hold

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises TypeError, ValueError, OSError, zipfile's own and more
        raise ValueError(
            f"{path} is no Keras model that loads here ({_first_line(error)}): pass a file that model.save() wrote, "
            "and import what it holds of your own layers first."
        ) from error
    return trace_keras_model(model)


def trace_saved_model(folder: Path) -> bytes:
    """Returns the float .tflite file of a SavedModel."""
    tf = _require_tensorflow()
    with quiet_output(1, 2):
        try:
            return bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert())
        except Exception as error:  # ConverterError is an Exception, and TensorFlow raises others too
            raise ValueError(_conversion_failure(error)) from error


def _trace_on_tensorflow(model: Any) -> bytes:
    # Both steps in one block, which one thread at a time is in: Keras and TensorFlow trace with names and graphs that
    # are the whole process's.
    with tempfile.TemporaryDirectory() as folder, quiet_output(1, 2):
        try:
            model.export(folder, format="tf_saved_model", verbose=False)
        except Exception as error:  # whatever the layers and TensorFlow raise when they are traced
            raise ValueError(
                f"The model {model.name!r} cannot be exported ({_first_line(error)}): change the layer that fails, or "
                "pass the float .tflite file that you make of it yourself."
            ) from error
        return _in_keras_order(trace_saved_model(Path(folder)), model)


def _in_keras_order(content: bytes, model: Any) -> bytes:
    """Returns the file with its inputs in the order of the Keras model, in which users pass lists.

    The stock converter has them in no order that anyone knows. They carry the names of the model's Inputs, and in a
    subclassed model, which has none, args_0, args_0_1, ... in the order of the arguments.
    """
    file = read_model(content)
    graph, signature = file.graphs[0], file.signatures[0]
    if len(graph.inputs) == 1:
        return content
    names = {tensor: name for name, tensor in signature.inputs}
    order = [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    if set(order) != set(names.values()):
        order = sorted(names.values(), key=lambda name: (len(name), name))
    signature.inputs.sort(key=lambda pair: order.index(pair[0]))
    graph.inputs.sort(key=lambda tensor: order.index(names[tensor]))
    return write_model(file)


def _trace_in_subprocess(path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "model.tflite")
        modules = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # "" is the current folder
        result = subprocess.run(
            [sys.executable, "-m", "keras_bnn.converter", str(path.absolute()), str(output)],
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": modules},
            cwd=folder,  # Python puts it in front of all others
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
            raise ValueError(f"Converting the model with KERAS_BACKEND=tensorflow failed: {lines[-1]}")
        return output.read_bytes()


def _require_tensorflow(*, in_this_process: bool = True) -> Any:
    """Returns the module, or says how to get it."""
    import importlib.util

    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "Converting a Keras model or a SavedModel needs TensorFlow, which is not installed: "
            "pip install 'keras-bnn[train]', or convert a .tflite file."
        )
    if not in_this_process:
        return None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    return tf


def _with_float32_policy(model: Any) -> Any:
    """Returns the model, or a copy whose layers all compute in float32: the converter does not take mixed precision."""
    import keras

    policies = {layer.dtype_policy.name for layer in model._flatten_layers()}
    if policies == {"float32"}:
        return model
    try:
        config = _with_float32(keras.saving.serialize_keras_object(model))
        copy = keras.saving.deserialize_keras_object(config)
        copy.set_weights(model.get_weights())
    except Exception as error:  # a subclassed model may lack get_config, or build its layers in ways of its own
        raise ValueError(
            f"The model {model.name!r} computes in {', '.join(sorted(policies - {'float32'}))} and cannot be rebuilt "
            f"in float32 ({_first_line(error)}): give it get_config(), or convert a copy that you build in float32."
        ) from error
    return copy


def _with_float32(config: Any) -> Any:
    """Returns a Keras configuration with every dtype policy set to float32."""
    if isinstance(config, list | tuple):
        return type(config)(_with_float32(item) for item in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in _DTYPE_POLICY_CLASSES:
        return "float32"
    return {
        key: "float32" if key == "dtype" and isinstance(value, str) and "float" in value else _with_float32(value)
        for key, value in config.items()
    }


def _conversion_failure(error: Exception) -> str:
    """One sentence from pages of compiler output."""
    text = str(error)
    missing = sorted({name for ops in re.findall(r"(?:TF Select|Custom) ops: (.+)", text) for name in ops.split(", ")})
    if not missing:
        return f"The TFLite converter cannot convert this model: {_first_line(error)}"
    layers = sorted(set(re.findall(rf'fused\["(?:{"|".join(map(re.escape, missing))}):", "([^"@]+)', text)))
    where = f" ({', '.join(layers)})" if layers else ""
    return f"TFLite has no op for {', '.join(missing)}{where}: replace the layer that computes it."


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).removesuffix(".")
