"""The share of flipped weights, against counting in numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from support.sign_arithmetic import sign

from keras_bnn.layers import BinaryConv2D, BinaryDense
from keras_bnn.metrics import FlipRatio
from keras_bnn.quantizers import SteSign, SteTern


def kernels(rng: np.random.Generator, *shapes: tuple) -> list[np.ndarray]:
    """Latent weights with many values next to 0, and 0.0 and -0.0 among them."""
    made = [rng.normal(size=shape).round(1).astype(np.float32) for shape in shapes]
    for kernel in made:
        kernel[rng.random(kernel.shape) < 0.1] *= -0.0
    return made


def two_layers(quantizer: object) -> keras.Sequential:
    conv = BinaryConv2D(3, 2, input_quantizer=None, kernel_quantizer=quantizer, name="conv")
    dense = BinaryDense(5, kernel_quantizer=quantizer, name="outputs")
    return keras.Sequential([keras.Input((3, 3, 2)), conv, keras.layers.Flatten(), dense, keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("quantizer", "outputs"),
    [(SteSign(), sign), (SteTern(0.5), lambda w: sign(w) * (np.abs(w) > 0.5))],  # one instance for both layers
    ids=["sign", "tern"],
)
def test_counts_as_numpy_does(quantizer: object, outputs: object) -> None:
    model, rng = two_layers(quantizer), np.random.default_rng(1)
    shapes = (2, 2, 2, 3), (12, 5)
    assert [layer.kernel.shape for layer in (model.layers[0], model.layers[2])] == list(shapes)
    steps = [kernels(rng, *shapes) for _ in range(7)]

    def put(step: list[np.ndarray]) -> None:
        model.layers[0].kernel.assign(step[0])
        model.layers[2].kernel.assign(step[1])

    def flipped(start: int, stop: int) -> list[float]:
        """Of both kernels, and of all weights, averaged over the updates from `start` to `stop`."""
        pairs = list(zip(steps[start:stop], steps[start + 1 : stop + 1], strict=True))
        counts = [[np.sum(outputs(a) != outputs(b)) for a, b in zip(*pair, strict=True)] for pair in pairs]
        conv, dense = np.mean(counts, axis=0)
        return [conv / 24, dense / 60, (conv + dense) / 84]

    put(steps[0])
    metric, total = FlipRatio(model, per_kernel=True), FlipRatio(model)
    for epoch in (slice(1, 5), slice(5, 7)):
        assert float(total.result()) == 0
        for step in steps[epoch]:
            put(step)
            metric.update_state()
            total.update_state()
        ratios = {name: float(ratio) for name, ratio in metric.result().items()}
        expected = flipped(epoch.start - 1, epoch.stop - 1)
        assert 0.1 < expected[2] < 0.9
        paths = [f"flip_ratio/{model.name}/{name}/kernel" for name in ("conv", "outputs")]
        assert ratios == pytest.approx(dict(zip([*paths, "flip_ratio"], expected, strict=True)), rel=1e-6)
        assert float(total.result()) == pytest.approx(expected[2], rel=1e-6)
        metric.reset_state()
        total.reset_state()


def test_keeps_one_byte_a_weight() -> None:
    metric = FlipRatio(two_layers("ste_sign"))
    large = [variable for variable in metric.variables if len(variable.shape) > 1]
    assert sum(variable.numpy().nbytes for variable in large) == 24 + 60


def test_names_what_is_wrong() -> None:
    real = keras.Sequential([keras.Input((3,)), BinaryDense(2, kernel_quantizer="no_op"), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no binary kernel"):
        FlipRatio(real)
    with pytest.raises(ValueError, match="no weights yet"):
        FlipRatio(keras.Sequential([BinaryDense(2)]))
    model = keras.Sequential([keras.Input((3,)), BinaryDense(2)])
    model.compile("sgd", "mse", metrics=[FlipRatio(model)])
    with pytest.raises(TypeError, match="FlipRatioLogger"):
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
