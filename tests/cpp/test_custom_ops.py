"""The packed ops as custom ops of TensorFlow's own interpreter, which no delegate of ours sees."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from format_reference import run_packed
from support.delegate import assert_same_bits
from support.mnist import MODELS, digits
from support.networks import OPS, random_network
from support.session import Session

from keras_bnn.runtime import delegate_path

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")

_ADD_CUSTOM = "_ZN6tflite17MutableOpResolver9AddCustomEPKcPK18TfLiteRegistrationi"
"""tflite::MutableOpResolver::AddCustom(const char*, const TfLiteRegistration*, int)."""


class CustomOps:
    """TensorFlow's interpreter with our registrations in its resolver, as a C++ program makes it."""

    def __init__(self, model: bytes, num_threads: int) -> None:
        tensorflow = pytest.importorskip("tensorflow")
        interpreter = pytest.importorskip("tensorflow.lite.python.interpreter")
        library = Path(tensorflow.__file__).with_name("libtensorflow_cc.so.2")
        add_custom = ctypes.CDLL(str(library))[_ADD_CUSTOM]
        add_custom.restype = None
        add_custom.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        ours = ctypes.CDLL(str(delegate_path()))
        ours.KerasBnnOpName.restype = ctypes.c_void_p  # the resolver keeps the address
        ours.KerasBnnOpRegistration.restype = ctypes.c_void_p

        def register(resolver: int) -> None:
            for op in range(ours.KerasBnnOpCount()):
                add_custom(resolver, ours.KerasBnnOpName(op), ours.KerasBnnOpRegistration(op), 1)

        self._interpreter = interpreter.InterpreterWithCustomOps(
            custom_op_registerers=[register], model_content=model, num_threads=num_threads
        )

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        details = self._interpreter.get_input_details()
        for detail, x in zip(details, inputs, strict=True):
            self._interpreter.resize_tensor_input(detail["index"], x.shape)
        self._interpreter.allocate_tensors()
        for detail, x in zip(details, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], x)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._interpreter.get_output_details()]


@pytest.fixture(autouse=True)
def _kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BNN_ISA", raising=False)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_mnist(model: Path) -> None:
    """Batches of 1, 3 and 2 give what the delegate gives."""
    images = digits()[0]
    session = Session(model.read_bytes(), "scalar")
    custom_ops = CustomOps(model.read_bytes(), 2)
    for begin, end in ((0, 1), (1, 4), (4, 6)):
        assert_same_bits(custom_ops.run([images[begin:end]]), session.run([images[begin:end]]))


@pytest.mark.parametrize("seed", range(40))
def test_random_network(seed: int) -> None:
    network = random_network(Random(seed), 1 + seed % 5, OPS)
    custom_ops = CustomOps(network.model, 1 + seed % 2)
    for batch in (network.shape[0], 1, 3):
        inputs = network.inputs(batch)
        assert_same_bits(custom_ops.run(inputs), run_packed(network.model, inputs))


def test_refusals_reach_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BNN_ISA", "abacus")
    model = next(path for path in MODELS if path.stem == "mnist_cnn")
    with pytest.raises(RuntimeError, match="the name comes from the environment variable KERAS_BNN_ISA"):
        CustomOps(model.read_bytes(), 1).run([digits()[0][:1]])
