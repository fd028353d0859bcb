"""A binary network from a real-valued one."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_bnn.binarization.cloner import Cloner
from keras_bnn.binarization.plan import Plan, is_replaceable
from keras_bnn.model_graph import ModelGraph

Skip = str | type | Callable[[Any], bool]


def binarize(
    model: keras.Model,
    skip: Skip | Iterable[Skip] | None = None,
    *,
    keep_first_and_last: bool = True,
    input_quantizer: Any = "ste_sign",
    kernel_quantizer: Any = "ste_sign",
    kernel_constraint: Any = "weight_clip",
    drop_activations: bool = True,
    add_normalizations: bool = True,
) -> keras.Model:
    """Returns a clone of a model with binary layers in place of dense and convolution layers, to be trained on.

    `Dense`, `Conv1D`, `Conv2D`, `Conv3D`, `Conv2DTranspose`, `DepthwiseConv2D` and `SeparableConv2D` are replaced,
    wherever they stand in Sequential and functional models, nested ones included. All other layers, names and shared
    layers stay, and so do subclasses of these layers and what is inside layers of your own. The model itself is not
    changed. The clone is compiled when the model is, unless Keras cannot copy a loss or a metric of yours: then a
    warning says so.

    Weights are carried over: those of a replaced layer become the latent weights, of which only the sign counts at
    first. A kernel that reaches beyond the range of its constraint is divided by what brings it into the range, so
    that no weight loses its distance from a change of sign in comparison with the others. Keras's constraints of a
    norm or a sign ("max_norm", "min_max_norm", "unit_norm", "non_neg") say nothing of that distance, and give way to
    kernel_constraint.

    Two things around a sign would keep the clone from learning, and are changed:

    - An activation that is never negative in front of a sign, as in Conv - ReLU - Conv: that sign would be +1
      everywhere. The activation is left out; the sign takes its place. A ReLU layer becomes an `Identity`. A warning
      names activations of your own classes, which stay.
    - Sums of signs without a normalization: they go up to the number of inputs, but the sign passes gradients in
      [-1, 1] only. A `BatchNormalization` is put right behind the layer, `Conv - BatchNormalization - activation`,
      where bits can be packed.

    Networks get more accurate in two trainings, see `examples/two_step_training.py`: of `binarize(model,
    kernel_quantizer=None)`, whose inputs alone are binary, and of what `binarize` makes of that. Binary layers with
    real-valued kernels get binary ones, whichever place they have, and keep the quantizers of their inputs.

    Args:
        model: A built Sequential or functional model.
        skip: Layers to leave as they are: a name or a path ("encoder/conv"), a class, a function of a layer that
            returns whether to skip it, or several of these.
        keep_first_and_last: Whether layers with no other dense or convolution layer before them, or none behind
            them, stay real-valued. If False, the first ones get a binary kernel and real-valued inputs.
        input_quantizer: Quantizer of the inputs of replaced layers, see `keras_bnn.quantizers.get`; None for
            real-valued inputs.
        kernel_quantizer: Quantizer of their kernels. None keeps them real-valued, unscaled and with their constraint:
            the first of two training steps.
        kernel_constraint: Constraint of the latent weights of layers that have none, or one of a norm or a sign.
        drop_activations: Whether to leave out activations that make a sign constant. If False, a warning names them.
        add_normalizations: Whether to add batch normalizations. If False, a warning names the layers without.

    Returns:
        A model of the same kind.

    Raises:
        TypeError: when model is no Keras model.
        ValueError: when the model is subclassed or not built, skip names no layer, no layer is left to replace, or a
            layer cannot be binary, for example with data_format="channels_first".

    Example:

    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 1)),
    ...     keras.layers.Conv2D(16, 3, activation="relu"),
    ...     keras.layers.Conv2D(16, 3, activation="relu"),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(10, activation="softmax"),
    ... ])
    >>> [type(layer).__name__ for layer in binarize(model).layers]
    ['Conv2D', 'BatchNormalization', 'BinaryConv2D', 'BatchNormalization', 'Activation', 'Flatten', 'Dense']
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"binarize got a {type(model).__name__}: pass a Keras model.")
    if not isinstance(model, (keras.Sequential, keras.Function)):
        raise ValueError(
            f"binarize got the subclassed model '{model.name}', whose layers Python code calls: use the layers of "
            "keras_bnn.layers in that code, or make it a Sequential or functional model."
        )
    graph = ModelGraph(model)
    plan = Plan(
        model,
        graph,
        _skipper(graph, skip),
        keep_first_and_last=keep_first_and_last,
        takes_sign=input_quantizer is not None,
    )
    if not plan.replaced:
        raise ValueError(
            f"binarize found no layer to replace in '{model.name}': its dense and convolution layers are the first, "
            "the last, skipped or binary; pass keep_first_and_last=False, or skip less."
        )
    if plan.constant_signs and not drop_activations:
        _warn("a sign that is the same everywhere, since an activation stands in front of it", plan.constant_signs)
    if plan.fixed_signs:
        what = "a sign that is the same everywhere, since only you can leave out the activation in front of it"
        _warn(what, plan.fixed_signs)
    if plan.unnormalized and not add_normalizations:
        _warn("no normalization between sums of signs and what reads them", plan.unnormalized)
    cloner = Cloner(
        plan.replaced,
        real_input=plan.real_input,
        dropped=plan.constant_signs if drop_activations else [],
        normalized=plan.unnormalized if add_normalizations else [],
        input_quantizer=input_quantizer,
        kernel_quantizer=kernel_quantizer,
        kernel_constraint=kernel_constraint,
    )
    clone = cloner.clone_model(model)
    cloner.carry_weights()
    if model.compiled:
        _compile_alike(clone, model)
    return clone


def _skipper(graph: ModelGraph, skip: Skip | Iterable[Skip] | None) -> Callable[[Any, str], bool]:
    """Returns what says of a layer and its path whether it is skipped."""
    if skip is None:
        rules: list[Any] = []
    else:
        rules = list(skip) if isinstance(skip, Iterable) and not isinstance(skip, str) else [skip]
    for rule in rules:
        if not isinstance(rule, str) and not callable(rule):
            raise ValueError(f"binarize got skip={rule!r}: pass names, classes, or functions of a layer.")
    names = {rule for rule in rules if isinstance(rule, str)}
    # What stands around the calls of a TimeDistributed has no name.
    missing = names - {name for call in graph.calls for name in (call.path, getattr(call.layer, "name", call.path))}
    if missing:
        known = ", ".join(dict.fromkeys(repr(call.path) for call in graph.calls if is_replaceable(call.layer)))
        raise ValueError(
            f"binarize got skip={min(missing)!r}: the layers to choose from are {known}; pass one of them."
        )
    classes = tuple(rule for rule in rules if inspect.isclass(rule))
    functions = [rule for rule in rules if callable(rule) and not inspect.isclass(rule)]

    def is_skipped(layer: Any, path: str) -> bool:
        return bool({layer.name, path} & names) or isinstance(layer, classes) or any(rule(layer) for rule in functions)

    return is_skipped


def _compile_alike(clone: keras.Model, model: keras.Model) -> None:
    try:
        config = model.get_compile_config()
        keras.saving.deserialize_keras_object(config)  # tried apart from an optimizer's refusals, which are errors
    except (TypeError, ValueError) as error:
        reason = str(error).partition(". ")[0]  # then comes the whole configuration
        warnings.warn(
            f"binarize leaves the clone of '{model.name}' uncompiled, since Keras cannot copy what the model was "
            f"compiled with ({reason}): compile the clone, or decorate the function or class with "
            "@keras.saving.register_keras_serializable() before.",
            stacklevel=3,
        )
    else:
        clone.compile_from_config(config)


def _warn(what: str, found: list[Any]) -> None:
    names = ", ".join(f"'{layer.name}'" for layer in found)
    warnings.warn(f"binarize leaves {what}: see {names}.", stacklevel=3)
