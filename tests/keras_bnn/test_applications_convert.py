"""Every application converts; docs/applications.md has the table of what was packed."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn import applications
from keras_bnn.converter.custom_ops import PACKED_KERNEL_OPS
from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.converter.graph import Graph, Op

pytestmark = pytest.mark.slow
DOCUMENT = Path(__file__).parents[2] / "docs" / "applications.md"
INPUT_SHAPES = {
    "XNORNet": (224, 224, 3),
    "BinaryNetMNIST": (28, 28, 1),
    "BinaryNetCIFAR10": (32, 32, 3),
    "BinaryNetSVHN": (32, 32, 3),
}


def random_model(name: str) -> keras.Model:
    """Random kernels, and the values of a trained network elsewhere: no batch normalization that changes nothing."""
    keras.utils.set_random_seed(1)
    shape = INPUT_SHAPES.get(name, (64, 64, 3))
    model = getattr(applications, name)(input_shape=shape, classes=10, classifier_activation=None)
    rng = np.random.default_rng(7)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.name == "moving_variance":
            weight.assign(rng.uniform(0.5, 2, shape) * shape[0])
        elif weight.name == "gamma":
            weight.assign(rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape, p=[0.2, 0.8]))
        elif weight.name not in ("kernel", "seed_generator_state"):
            weight.assign(rng.normal(0.1, 0.3, shape))
    return model


def check_flow(graph: Graph, op: Op) -> None:
    """Checks that a packed op gives bits, a float stream for a shortcut, or what real-valued ops alone read."""
    if op.kind not in PACKED_KERNEL_OPS or op.output.type_name != "float32":
        return
    for user in op.output.users:
        reads_as_shortcut = user.kind in PACKED_KERNEL_OPS and op.output in user.inputs[4:]
        assert reads_as_shortcut or not user.is_packed, f"{user} reads floats of {op}"


@pytest.mark.parametrize("name", applications.__all__)
def test_convert(name: str) -> None:
    model = random_model(name)
    num_binary = sum(getattr(layer, "kernel_quantizer", None) is not None for layer in model.layers)
    report = keras_bnn.convert(model, verify=True)
    exact = report.verification.exact
    assert exact.equal_samples == report.verification.samples == 16
    assert exact.largest_difference == 0
    assert report.verification.reference.equal_argmax == 1

    before, after = (read_model(content).graphs[0] for content in (report.reference, report.model))
    floats = [op.kind for op in after.ops if not op.is_packed]
    height, width, channels = model.input_shape[1:]
    cells = (
        name,
        f"{height}x{width}x{channels}",
        f"{len(report.packed)} of {num_binary}",
        str(len(before.ops)),
        str(len(after.ops)),
        str(len(after.find("BnnQuantize"))),
        ", ".join(f"{floats.count(kind)} {kind}" for kind in sorted(set(floats))) or "none",
        f"{report.reference_bytes / 1e6:.1f}",
        f"{report.packed_bytes / 1e6:.1f}",
    )
    for op in after.ops:
        check_flow(after, op)
    row = f"| {' | '.join(cells)} |"
    assert row in DOCUMENT.read_text().splitlines(), f"docs/applications.md lacks the row\n{row}"
    for op in report.left:
        assert re.match(r"\w.*\w", op.reason)
        assert op.remedy
