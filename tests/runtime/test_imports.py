"""What an import brings in, and what is said when something is missing; each in a fresh Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ["keras", "tensorflow", "jax", "torch", "ai_edge_litert", "tflite_runtime"]


def python(code: str, **environment: str) -> str:
    """Runs the code in a fresh Python outside the checkout, and returns what it prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_BNN_")}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd="/", env={**inherited, **environment}
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def imported_by(code: str) -> list[str]:
    return json.loads(python(f"{code}\nimport json, sys\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"))


@pytest.mark.parametrize("code", ["import keras_bnn", "import keras_bnn; dir(keras_bnn); keras_bnn.__version__"])
def test_package_imports_nothing_heavy(code: str) -> None:
    assert imported_by(code) == []


def test_runtime_imports_neither_keras_nor_tensorflow() -> None:
    assert imported_by("import keras_bnn.runtime") == []
    used = "import keras_bnn; keras_bnn.runtime.load_delegate(); keras_bnn.runtime.cpu_info()"
    assert imported_by(used) == ["ai_edge_litert"]


def test_command_line_help_imports_nothing_heavy() -> None:
    code = "from keras_bnn.cli import main\ntry: main(['convert', '--help'])\nexcept SystemExit: pass"
    assert python(f"{code}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])").endswith("[]")


def test_names_are_found_when_they_are_used() -> None:
    names = "layers.BinaryDense, keras_bnn.quantizers.SteSign, keras_bnn.constraints.WeightClip, keras_bnn.convert"
    assert python(f"import keras_bnn; print(all(map(callable, (keras_bnn.{names}))))") == "True"


def test_unknown_name() -> None:
    import keras_bnn

    with pytest.raises(AttributeError, match="has no attribute 'layer'"):
        _ = keras_bnn.layer


@pytest.mark.parametrize("name", ["layers", "quantizers", "constraints"])
def test_missing_keras_names_the_extra(name: str) -> None:
    code = f"""
import sys
sys.modules["keras"] = None
import keras_bnn
try: keras_bnn.{name}
except ImportError as error: print(error)
"""
    expected = f"keras_bnn.{name} needs keras, which is not installed: pip install 'keras-bnn[train]'"
    assert python(code) == expected


@pytest.mark.parametrize("statement", ["from keras_bnn.layers import BinaryDense", "import keras_bnn.optimizers"])
def test_missing_keras_names_the_extra_in_every_form_of_import(statement: str) -> None:
    code = f"""
import sys
sys.modules["keras"] = None
try: {statement}
except ImportError as error: print(error)
"""
    assert python(code) == "keras_bnn needs keras, which is not installed: pip install 'keras-bnn[train]'"


RUNTIME = (
    "import keras_bnn\ntry: print(keras_bnn.runtime.stock_runtime())\nexcept Exception as e: print(type(e).__name__, e)"
)


def hide(*modules: str) -> str:
    """Code that makes modules look as if they were not installed."""
    return f"""
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in {modules!r}: raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Hide())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {modules!r} else found(name, package)
"""


def test_no_runtime() -> None:
    printed = python(hide("ai_edge_litert", "tflite_runtime", "tensorflow") + RUNTIME)
    assert printed == (
        "ImportError No runtime for .tflite files is installed (ai-edge-litert, tflite-runtime, tensorflow): "
        "pip install ai-edge-litert"
    )


def test_forced_runtime() -> None:
    assert python(RUNTIME, KERAS_BNN_RUNTIME="ai-edge-litert").startswith("ai-edge-litert ")
    assert "KERAS_BNN_RUNTIME is 'tflite'" in python(RUNTIME, KERAS_BNN_RUNTIME="tflite")


@pytest.mark.parametrize(("runtime", "version"), [("tflite-runtime", "2.14.0"), ("ai-edge-litert", "1.0.1")])
def test_numpy_that_is_too_new(runtime: str, version: str) -> None:
    import numpy as np

    from keras_bnn.runtime.stock import check_numpy

    check_numpy(runtime, version, "1.26.4")
    with pytest.raises(ImportError, match=rf"{runtime} {version} needs numpy < 2, but numpy 2.4.6 is installed: pip"):
        check_numpy(runtime, version, "2.4.6")
    check_numpy("ai-edge-litert", "2.3.0", np.__version__)
