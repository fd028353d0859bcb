"""`keras_bnn.binarize`: which layers become binary, what happens to weights and activations, that the clone learns."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import keras_bnn
from keras_bnn.layers import BinaryConv2D, BinaryDense, RPReLU


def kinds(model: keras.Model) -> dict[str, str]:
    return {layer.name: type(layer).__name__ for layer in model.layers if not isinstance(layer, layers.InputLayer)}


def array(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def sequential() -> keras.Model:
    """A usual network without normalization; its kernels have asymmetric random values."""
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(12, 3, activation="relu", name="second", bias_initializer="normal"),
            layers.Flatten(name="flatten"),
            layers.Dense(16, activation="tanh", name="third"),
            layers.Dense(3, name="last"),
        ]
    )


def test_default_for_a_sequential_model() -> None:
    model = sequential()
    clone = keras_bnn.binarize(model)
    assert kinds(clone) == {
        "first": "Conv2D",
        "first_normalization": "BatchNormalization",
        "pool": "MaxPooling2D",
        "second": "BinaryConv2D",
        "second_normalization": "BatchNormalization",
        "flatten": "Flatten",
        "third": "BinaryDense",
        "third_normalization": "BatchNormalization",
        "third_activation": "Activation",
        "last": "Dense",
    }
    assert isinstance(clone, keras.Sequential)
    # ReLU would make the next sign +1 everywhere; tanh stands before no sign, and moves behind the normalization
    linear = keras.activations.linear
    assert [clone.get_layer(name).activation for name in ("first", "second", "third", "last")] == [linear] * 4
    assert clone.get_layer("third_activation").activation is keras.activations.tanh
    assert kinds(model) == kinds(sequential())  # the model itself is as it was
    assert model.get_layer("first").activation is keras.activations.relu
    for name in ("first", "second", "third", "last"):
        for ours, theirs in zip(clone.get_layer(name).weights, model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(array(ours), array(theirs))
    second = clone.get_layer("second")
    assert second.input_quantizer.precision == second.kernel_quantizer.precision == 1
    assert isinstance(second.kernel_constraint, keras_bnn.constraints.WeightClip)


def test_all_layers_with_the_paper_s_first_layer() -> None:
    clone = keras_bnn.binarize(sequential(), keep_first_and_last=False)
    assert isinstance(clone.get_layer("first"), BinaryConv2D)
    assert clone.get_layer("first").input_quantizer is None
    assert isinstance(clone.get_layer("last"), BinaryDense)
    assert clone.get_layer("last").input_quantizer is not None
    assert kinds(clone)["last_normalization"] == "BatchNormalization"


def test_a_kernel_beyond_the_range_is_scaled_into_it() -> None:
    model = sequential()
    second, third = model.get_layer("second"), model.get_layer("third")
    rng = np.random.default_rng(6)
    large, small = rng.normal(0, 2, second.kernel.shape), rng.uniform(-0.5, 0.9, third.kernel.shape)
    large[0, 0, 0, :2] = 0.0, -0.0
    second.kernel.assign(large)
    third.kernel.assign(small)
    clone = keras_bnn.binarize(model)
    latent = array(clone.get_layer("second").kernel)
    assert np.abs(latent).max() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(latent, large / np.abs(large).max(), rtol=1e-5)
    np.testing.assert_array_equal(latent < 0, large.astype("float32") < 0)
    np.testing.assert_array_equal(array(clone.get_layer("third").kernel), small.astype("float32"))

    glorot = keras_bnn.binarize(model, kernel_constraint=keras_bnn.constraints.WeightClip("glorot"))
    bound = np.sqrt(1.5 / (9 * (8 + 12)))
    assert np.abs(array(glorot.get_layer("second").kernel)).max() == pytest.approx(bound, rel=1e-6)

    real = keras_bnn.binarize(model, kernel_quantizer=None)
    np.testing.assert_array_equal(array(real.get_layer("second").kernel), large.astype("float32"))
    assert real.get_layer("second").kernel_constraint is None


class OwnNorm(keras.constraints.Constraint):
    def __call__(self, w: Any) -> Any:
        return w / keras.ops.norm(w)


class OwnClip(keras.constraints.Constraint):
    def __call__(self, w: Any) -> Any:
        return keras.ops.clip(w, -0.5, 0.25)


@pytest.mark.parametrize(
    ("constraint", "limit"),
    [("max_norm", 1), ("min_max_norm", 1), ("unit_norm", 1), ("non_neg", 1), (OwnClip(), 0.25), (OwnNorm(), None)],
)
def test_constraints_of_the_model(constraint: Any, limit: float | None) -> None:
    inner = layers.Dense(4, kernel_constraint=constraint)
    stack = [layers.Dense(5), layers.BatchNormalization(), inner, layers.BatchNormalization(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((6,)), *stack])
    kernel = np.random.default_rng(8).normal(0, 2, (5, 4)).astype("float32")
    inner.kernel.assign(kernel)
    clone = keras_bnn.binarize(model).get_layer(inner.name)
    expected = kernel if limit is None else kernel * (limit / np.abs(kernel).max())
    np.testing.assert_allclose(array(clone.kernel), expected, rtol=1e-5)
    kind = keras_bnn.constraints.WeightClip if isinstance(constraint, str) else type(constraint)
    assert isinstance(clone.kernel_constraint, kind)
    real = keras_bnn.binarize(model, kernel_quantizer=None).get_layer(inner.name)
    assert type(real.kernel_constraint) is type(inner.kernel_constraint)


def far_from_zero() -> keras.Model:
    """A residual network with kernels far beyond [-1, 1]."""
    rng = np.random.default_rng(9)
    inputs = keras.Input((6,))
    x = layers.BatchNormalization()(layers.Dense(5, name="first")(inputs))
    for name in ("one", "two"):
        x = layers.add([x, layers.BatchNormalization()(layers.Dense(5, use_bias=True, name=name)(x))])
        x = RPReLU()(x)
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    for variable in model.weights:
        values = rng.normal(0, 2, variable.shape)
        variable.assign(np.abs(values) if "variance" in variable.name else values)
    return model


@pytest.mark.parametrize("keep_first_and_last", [True, False])
def test_two_steps(keep_first_and_last: bool) -> None:
    options = {"input_quantizer": "learned_threshold_sign", "keep_first_and_last": keep_first_and_last}
    one = keras_bnn.binarize(far_from_zero(), kernel_quantizer=None, **options)
    for name in ("one", "two"):
        one.get_layer(name).input_quantizer.threshold.assign([0.5, -1.0, 0.0, 2.0, -0.25])
    two = keras_bnn.binarize(one)
    assert kinds(two) == kinds(one)
    replaced = {name for name, kind in kinds(two).items() if kind == "BinaryDense"}
    assert replaced == ({"one", "two"} if keep_first_and_last else {"first", "one", "two", "last"})
    for name in replaced:
        before, after = one.get_layer(name), two.get_layer(name)
        kernel, latent = array(before.kernel), array(after.kernel)
        np.testing.assert_allclose(latent, kernel / max(1, np.abs(kernel).max()), rtol=1e-5)
        assert (before.kernel_quantizer, after.kernel_quantizer.precision) == (None, 1)
        assert isinstance(after.kernel_constraint, keras_bnn.constraints.WeightClip)
        assert type(after.input_quantizer) is type(before.input_quantizer)
    for ours, theirs in zip(two.weights, one.weights, strict=True):
        if not hasattr(ours, "quantizer"):  # all but the kernels
            np.testing.assert_array_equal(array(ours), array(theirs))
    with pytest.raises(ValueError, match="found no layer to replace"):
        keras_bnn.binarize(two)
    assert keras_bnn.binarize(one, "two").get_layer("two").kernel_quantizer is None


def test_outputs_are_those_of_signs() -> None:
    """The replaced layer computes what numpy computes with the signs of its inputs and of the model's weights."""
    rng = np.random.default_rng(7)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5),
            layers.LayerNormalization(),
            layers.Dense(4, name="inner"),
            layers.Dense(3),
        ]
    )
    model.get_layer("inner").kernel.assign(rng.normal(0, 3, (5, 4)))
    model.get_layer("inner").bias.assign([0.5, -2.0, 0.0, 7.0])
    clone = keras_bnn.binarize(model, add_normalizations=False, drop_activations=False)
    x = rng.normal(size=(9, 6)).astype("float32")
    hidden = keras.Sequential(model.layers[:2])
    signs = np.where(array(hidden(x)) < 0, -1, 1) @ np.where(array(model.get_layer("inner").kernel) < 0, -1, 1)
    found = array(keras.Sequential(clone.layers[:3])(x))
    np.testing.assert_array_equal(found, signs + np.array([0.5, -2.0, 0.0, 7.0]))


def residual() -> keras.Model:
    """A functional model with skip connections, a shared layer and a nested model."""
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="stem")(x))
    x = layers.ReLU(name="stem_relu")(x)
    y = layers.Conv2D(8, 3, padding="same", use_bias=False, name="inside")(x)
    y = layers.ReLU(name="inside_relu")(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="outside")(y))
    x = layers.ReLU(name="sum_relu")(x + y)
    shared = layers.Conv2D(8, 1, activation="relu", name="shared")
    x = shared(shared(x))
    nested = [layers.DepthwiseConv2D(3, name="depthwise"), layers.BatchNormalization(), layers.ReLU(name="last_relu")]
    x = keras.Sequential([keras.Input((8, 8, 8)), *nested], name="nested")(x)
    x = layers.Dense(8, name="hidden")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.LeakyReLU(name="leaky")(x)), name="residual")


def test_functional_models() -> None:
    model = residual()
    clone = keras_bnn.binarize(model)
    found = kinds(clone)
    binary = {name for name, kind in found.items() if kind.startswith("Binary")}
    assert binary == {"inside", "outside", "shared", "hidden"}
    assert kinds(clone.get_layer("nested"))["depthwise"] == "BinaryDepthwiseConv2D"
    assert (found["stem"], found["head"]) == ("Conv2D", "Dense")
    dropped = {name for name, kind in found.items() if kind == "Identity"}
    assert dropped == {"stem_relu", "inside_relu", "sum_relu"}
    # behind a global average pooling it stands in front of a sign all the same
    assert kinds(clone.get_layer("nested"))["last_relu"] == "Identity"
    assert found["leaky"] == "LeakyReLU"  # has both signs
    # one normalization for each call of the shared layer, none where there is one
    added = {name for name in found if "_normalization" in name and not name.startswith("batch_")}
    assert added == {"shared_normalization", "shared_normalization_2", "hidden_normalization"}
    assert clone.name == "residual"
    assert [x.name for x in clone.inputs] == ["image"]
    assert {row.name: row.calls for row in keras_bnn.summary(clone).layers}["shared"] == 2
    np.testing.assert_array_equal(array(clone.get_layer("outside").kernel), array(model.get_layer("outside").kernel))


def test_ops_between_layers() -> None:
    """Activations and sums may be ops of keras.ops as well."""
    inputs = keras.Input((6,))
    x = keras.ops.relu(layers.Dense(8, name="first")(inputs))
    x = keras.ops.relu(layers.Dense(8, name="second")(x)) + keras.ops.sigmoid(x)
    clone = keras_bnn.binarize(keras.Model(inputs, layers.Dense(2)(layers.Dense(4, name="third")(x))))
    found = Counter(type(one).__name__ for one in clone.operations)
    assert found == Counter(
        {"InputLayer": 1, "Dense": 2, "BinaryDense": 2, "BatchNormalization": 3, "Identity": 3, "Add": 1}
    )


@pytest.mark.parametrize(
    "function",
    [
        keras.ops.abs,
        keras.ops.square,
        keras.ops.sigmoid,
        lambda x: keras.ops.maximum(x, 0),
        lambda x: keras.ops.maximum(0.0, x),
        lambda x: keras.ops.maximum(x, np.arange(8, dtype="float32")),
        lambda x: keras.ops.clip(x, 0, 6),
        lambda x: x**2,
    ],
)
def test_ops_with_one_sign_are_left_out(function: Any) -> None:
    inputs = keras.Input((6,))
    x = function(layers.BatchNormalization()(layers.Dense(8)(inputs)))
    x = layers.BatchNormalization()(layers.Dense(4, name="inner")(x))
    clone = keras_bnn.binarize(keras.Model(inputs, layers.Dense(2)(x)))
    found = [type(one).__name__ for one in clone.operations]
    assert found[2:5] == ["BatchNormalization", "Identity", "BinaryDense"]
    assert clone(np.ones((3, 6))).shape == (3, 2)


@pytest.mark.parametrize(
    "function", [lambda x: keras.ops.maximum(x, -1), lambda x: keras.ops.clip(x, -1, 1), lambda x: x**3]
)
def test_ops_with_two_signs_stay(function: Any) -> None:
    inputs = keras.Input((6,))
    x = function(layers.BatchNormalization()(layers.Dense(8)(inputs)))
    x = layers.BatchNormalization()(layers.Dense(4, name="inner")(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert model.operations[3] is keras_bnn.binarize(model).operations[3]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.EinsumDense("ab,bc->ac", output_shape=5, activation="relu"), (6,)),
        (layers.SeparableConv1D(5, 3, activation="relu"), (9, 6)),
        (layers.DepthwiseConv1D(3, activation="relu"), (9, 6)),
        (layers.Conv1DTranspose(5, 3, activation="relu"), (9, 6)),
        (layers.Conv3DTranspose(5, 3, activation="relu"), (3, 3, 3, 6)),
        (BinaryDense(5, activation="relu"), (6,)),
        (BinaryConv2D(5, 3, activation="relu"), (5, 5, 6)),
    ],
)
def test_activations_of_all_layers_are_left_out(layer: layers.Layer, shape: tuple[int, ...]) -> None:
    stack = [layers.Dense(6), layers.BatchNormalization(), layer, layers.Dense(4, name="inner"), layers.Dense(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        clone = keras_bnn.binarize(keras.Sequential([keras.Input(shape), *stack]))
    assert kinds(clone)["inner"] == "BinaryDense"
    assert type(clone.get_layer(layer.name)) is type(layer)
    assert clone.get_layer(layer.name).activation is keras.activations.linear
    for ours, theirs in zip(clone.get_layer(layer.name).weights, layer.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))


class MyDense(layers.Dense):
    pass


class MyReLU(layers.ReLU):
    pass


@pytest.mark.parametrize(
    "layer",
    [
        MyDense(5, activation="relu", name="mine"),
        MyReLU(name="mine"),
        layers.TimeDistributed(layers.Dense(5, activation="relu", name="mine"), name="around"),
    ],
)
def test_activations_of_other_classes_stay(layer: layers.Layer) -> None:
    stack = [layers.Dense(6), layers.BatchNormalization(), layer, layers.Dense(4, name="inner"), layers.Dense(2)]
    model = keras.Sequential([keras.Input((9, 6)), *stack])
    for drop_activations in (True, False):
        with pytest.warns(UserWarning, match="only you can leave out the activation in front of it: see 'mine'"):
            clone = keras_bnn.binarize(model, drop_activations=drop_activations)
        assert kinds(clone)["inner"] == "BinaryDense"
        assert type(clone.get_layer(layer.name)) is type(layer)
        for ours, theirs in zip(clone.get_layer(layer.name).weights, layer.weights, strict=True):
            np.testing.assert_array_equal(array(ours), array(theirs))


def test_an_adapted_normalization_stays_adapted() -> None:
    x = np.random.default_rng(10).normal([5.0, -3.0, 0.5], [2.0, 0.1, 1.0], (50, 3)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(x)
    fixed = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])
    stack = [
        layers.Dense(5),
        layers.BatchNormalization(),
        layers.Dense(4),
        layers.BatchNormalization(),
        layers.Dense(2),
    ]
    clone = keras_bnn.binarize(keras.Sequential([keras.Input((3,)), adapted, fixed, *stack]))
    normalized = (x - x.mean(0, dtype="float64")) / x.std(0, dtype="float64")
    expected = (normalized - np.array([1, 2, 3])) / np.sqrt([4, 5, 6])
    np.testing.assert_allclose(array(keras.Sequential(clone.layers[:2])(x)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("skip", "kept"),
    [
        ("second", {"second"}),
        (["second", "third"], {"second", "third"}),
        (layers.Dense, {"third"}),
        ([layers.Conv2D, "third"], {"second", "third"}),
        (lambda layer: layer.kernel.shape[-1] == 16, {"third"}),
        ((), set()),
    ],
)
def test_skip(skip: Any, kept: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kept == {"second", "third"}:
            with pytest.raises(ValueError, match="found no layer to replace"):
                keras_bnn.binarize(sequential(), skip)
            return
        clone = keras_bnn.binarize(sequential(), skip)
    binary = {name for name, kind in kinds(clone).items() if kind.startswith("Binary")}
    assert binary == {"second", "third"} - kept


def test_skip_by_path() -> None:
    clone = keras_bnn.binarize(residual(), "nested/depthwise")
    assert kinds(clone.get_layer("nested"))["depthwise"] == "DepthwiseConv2D"


def test_what_is_left_as_it_is_gets_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"a sign that is the same everywhere.*'first', 'second'"):
        clone = keras_bnn.binarize(sequential(), drop_activations=False)
    assert clone.get_layer("first_activation").activation is keras.activations.relu
    with pytest.warns(UserWarning, match=r"no normalization.*'second', 'third', 'first'"):
        clone = keras_bnn.binarize(sequential(), add_normalizations=False)
    assert not any(name.endswith("normalization") for name in kinds(clone))


def test_quantizers_with_weights_are_made_anew_for_each_layer() -> None:
    quantizer = keras_bnn.quantizers.LearnedThresholdSign(threshold_initializer=keras.initializers.Constant(0.25))
    for given in (quantizer, "learned_threshold_sign"):
        clone = keras_bnn.binarize(sequential(), input_quantizer=given, kernel_quantizer="magnitude_aware_sign")
        second, third = clone.get_layer("second"), clone.get_layer("third")
        assert second.input_quantizer is not third.input_quantizer
        assert (second.input_quantizer.threshold.shape, third.input_quantizer.threshold.shape) == ((8,), (12,))
        assert isinstance(third.kernel_quantizer, keras_bnn.quantizers.MagnitudeAwareSign)


@pytest.mark.parametrize(
    ("layer", "name", "shape"),
    [
        (layers.Conv1D(4, 3), "BinaryConv1D", (9, 5)),
        (layers.Conv3D(4, 3, strides=2), "BinaryConv3D", (7, 7, 7, 2)),
        (layers.Conv2DTranspose(4, 3, padding="same"), "BinaryConv2DTranspose", (5, 5, 3)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), "BinaryDepthwiseConv2D", (6, 6, 3)),
        (layers.SeparableConv2D(4, 3), "BinarySeparableConv2D", (6, 6, 3)),
        (layers.Dense(4, use_bias=False, kernel_regularizer="l2"), "BinaryDense", (2, 3)),
    ],
)
def test_every_kind_of_layer(layer: layers.Layer, name: str, shape: tuple[int, ...]) -> None:
    stack = [layers.Dense(shape[-1]), layers.BatchNormalization(), layer, layers.BatchNormalization(), layers.Dense(2)]
    clone = keras_bnn.binarize(keras.Sequential([keras.Input(shape), *stack])).get_layer(layer.name)
    assert type(clone).__name__ == name
    for ours, theirs in zip(clone.weights, layer.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))
    ours, theirs = clone.get_config(), layer.get_config()
    changed = {key for key, value in theirs.items() if ours[key] != value}
    assert changed <= {"kernel_constraint", "depthwise_constraint", "pointwise_constraint"}


def test_refusals() -> None:
    class Own(keras.Model):
        pass

    with pytest.raises(TypeError, match="binarize got a int: pass a Keras model"):
        keras_bnn.binarize(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the subclassed model 'own'.*use the layers of keras_bnn.layers"):
        keras_bnn.binarize(Own(name="own"))
    with pytest.raises(ValueError, match="'late' is not built"):
        keras_bnn.binarize(keras.Sequential([layers.Dense(3)], name="late"))
    with pytest.raises(ValueError, match=r"no layer to replace in 'short'.*pass keep_first_and_last=False"):
        keras_bnn.binarize(keras.Sequential([keras.Input((3,)), layers.Dense(3)], name="short"))
    with pytest.raises(ValueError, match="skip='sceond': the layers to choose from are 'first', 'second'"):
        keras_bnn.binarize(sequential(), ["sceond"])
    with pytest.raises(ValueError, match="got skip=3: pass names, classes, or functions"):
        keras_bnn.binarize(sequential(), 3)  # type: ignore[arg-type]
    stack = [layers.Dense(8), layers.Conv2D(4, 1, data_format="channels_first", name="turned"), layers.Dense(2)]
    with pytest.raises(ValueError, match=r"cannot make 'turned' binary, name it in skip: .*channels_last"):
        keras_bnn.binarize(keras.Sequential([keras.Input((4, 4, 4)), *stack]))


def stripes() -> tuple[np.ndarray, np.ndarray]:
    """Noisy images with horizontal, vertical or diagonal stripes, and which of them it is."""
    rng = np.random.default_rng(12)
    row, column = np.mgrid[:8, :8]
    patterns = np.stack([row % 2, column % 2, (row + column) // 2 % 2]) * 2.0 - 1
    labels = rng.integers(0, 3, 256)
    return (patterns[labels] + rng.normal(0, 0.7, (256, 8, 8)))[..., np.newaxis].astype("float32"), labels


def test_the_clone_is_compiled_and_learns() -> None:
    model, (x, y) = sequential(), stripes()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    jit_compile = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=jit_compile)
    clone = keras_bnn.binarize(model)
    history = clone.fit(x, y, batch_size=32, epochs=6, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["accuracy"][-1] > 0.85
    kernel = array(clone.get_layer("second").kernel)
    assert np.abs(kernel).max() <= 1
    assert np.any(kernel != array(model.get_layer("second").kernel))


def my_loss(y: Any, predictions: Any) -> Any:
    return keras.ops.mean(keras.ops.square(y - predictions), axis=-1)


@pytest.mark.parametrize("is_functional", [True, False])
def test_what_keras_cannot_copy_is_left_to_compile(is_functional: bool) -> None:
    model = sequential()
    if is_functional:
        model = keras.Model(model.inputs, model.outputs, name="functional")
    model.compile("adam", my_loss)
    with pytest.warns(
        UserWarning, match=r"clone of '\w+' uncompiled.*\(Could not locate function 'my_loss'\): compile"
    ):
        clone = keras_bnn.binarize(model)
    assert (model.compiled, clone.compiled) == (True, False)
    model.compile("adam", "mse")
    assert keras_bnn.binarize(model).compiled


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason=f"models are converted on the tensorflow backend, this is {keras.backend.backend()}",
)
def test_the_clone_is_packed() -> None:
    clone = keras_bnn.binarize(residual(), "nested/depthwise")
    report = keras_bnn.convert(clone, verify=False)
    kinds = [(op.kind, op.input_type, op.output_type) for op in report.packed]
    # the sum of both branches is read by a sign and by nothing else; the second convolution's sums go into it
    assert ("BnnConv2D", "bits", "bits") in kinds
    assert sum(kind == "BnnConv2D" for kind, *_ in kinds) == 4  # two in the block, the shared one twice
    assert sum(kind == "BnnFullyConnected" for kind, *_ in kinds) == 1
