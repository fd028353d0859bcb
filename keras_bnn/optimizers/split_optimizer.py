"""One optimizer for the binary kernels, another for the rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor, ops


@keras.saving.register_keras_serializable(package="keras_bnn")
def is_binary_kernel(variable: Any) -> bool:
    """Tells whether a variable is the kernel of a binary layer whose quantizer makes one bit of each weight.

    Binary layers mark their kernels: `variable.quantizer` is the quantizer. A function without a `precision` counts as
    one that makes one bit.

    Example:

    >>> from keras_bnn.layers import BinaryDense
    >>> layer = BinaryDense(3, use_bias=True)
    >>> layer.build((None, 4))
    >>> [is_binary_kernel(variable) for variable in layer.trainable_variables]
    [True, False]
    """
    quantizer = getattr(variable, "quantizer", None)
    return quantizer is not None and getattr(quantizer, "precision", 1) == 1


@keras.saving.register_keras_serializable(package="keras_bnn")
class SplitOptimizer(keras.optimizers.Optimizer):
    """Trains the binary kernels of a model with one optimizer, and everything else with another.

    Each of the two takes the options that Keras's optimizers have (`clipnorm`, `weight_decay`, `use_ema`,
    `gradient_accumulation_steps`, a schedule); they hold for its variables. Only the scaling of the loss is of both:
    Keras wraps the whole in a `LossScaleOptimizer` under the policy "mixed_float16".

    `learning_rate` is that of `other`; setting it changes both learning rates by the same factor, which is also what
    Keras's callbacks do. Set `binary.learning_rate` or `other.learning_rate` to change one.

    Args:
        binary: A `keras.optimizers.Optimizer`, or a name, for the variables that is_binary picks.
        other: A `keras.optimizers.Optimizer`, or a name, for all others.
        is_binary: A function of a `keras.Variable` that returns a bool; `is_binary_kernel` by default, the kernels of
            binary layers with a one-bit quantizer.
        name: Name of the optimizer.

    Raises:
        ValueError: when binary and other are one object, or either scales the loss itself; when a model is trained
            that has no variable which is_binary picks.

    Example:

    >>> from keras_bnn.layers import BinaryDense
    >>> from keras_bnn.optimizers import Bop
    >>> model = keras.Sequential([keras.Input((4,)), BinaryDense(3), keras.layers.BatchNormalization()])
    >>> model.compile(optimizer=SplitOptimizer(binary=Bop(), other="adam"), loss="mse")
    >>> history = model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
    >>> np.unique(np.abs(model.get_weights()[0])).tolist()
    [1.0]
    """

    def __init__(
        self,
        binary: Any,
        other: Any,
        is_binary: Callable[[Any], bool] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate=0.0, name=name)  # of no use: both have their own
        self.binary, self.other = keras.optimizers.get(binary), keras.optimizers.get(other)
        if self.binary is self.other:
            raise ValueError("SplitOptimizer got one optimizer as binary and as other: pass two of them.")
        for role, optimizer in (("binary", self.binary), ("other", self.other)):
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) or optimizer.loss_scale_factor is not None:
                raise ValueError(
                    f"SplitOptimizer got as {role} an optimizer that scales the loss, which is common to both: pass "
                    "keras.optimizers.LossScaleOptimizer(SplitOptimizer(...)) to compile instead."
                )
        self.is_binary = is_binary_kernel if is_binary is None else is_binary
        self._rate_ratio: float | None = None  # of binary to other, while the rate of other was last above 0

    @property
    def variables(self) -> list[keras.Variable]:
        """The state of this optimizer and of both others."""
        return [*super().variables, *self.binary.variables, *self.other.variables]

    @property
    def learning_rate(self) -> Any:
        """The learning rate of `other`; setting it scales that of `binary` by the same factor."""
        return self.other.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        binary, other = (
            float(ops.convert_to_numpy(optimizer.learning_rate)) for optimizer in (self.binary, self.other)
        )
        if other > 0:
            self._rate_ratio = binary / other
        elif self._rate_ratio is None:
            raise ValueError(
                f"SplitOptimizer got learning_rate={value!r} to scale both rates by, but that of other is {other!r}: "
                "set binary.learning_rate and other.learning_rate."
            )
        self.other.learning_rate = value
        self.binary.learning_rate = self._rate_ratio * value

    def build(self, variables: list[keras.Variable]) -> None:
        """Gives each variable to one of the optimizers."""
        if self.built:
            return
        binary = [variable for variable in variables if self.is_binary(variable)]
        if not binary:
            raise ValueError(
                f"SplitOptimizer found no binary kernel among {len(variables)} variables: train layers that have a "
                "kernel_quantizer of one bit, or pass is_binary, a function that picks the variables."
            )
        super().build(variables)
        self._binary_keys = frozenset(self._var_key(variable) for variable in binary)
        self.binary.build(binary)
        self.other.build([variable for variable in variables if not self._is_binary(variable)])

    def _is_binary(self, variable: Any) -> bool:
        return self._var_key(variable) in self._binary_keys

    def apply(self, grads: list[KerasTensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        """Has each optimizer apply the gradients of its variables, and then their constraints."""
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        pairs = list(zip(grads, variables, strict=True))
        for optimizer, binary in ((self.binary, True), (self.other, False)):
            own = [(gradient, variable) for gradient, variable in pairs if self._is_binary(variable) is binary]
            optimizer.apply([gradient for gradient, _ in own], [variable for _, variable in own])
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Puts averages into the variables of an optimizer with `use_ema`, at the end of a training."""
        for optimizer, binary in ((self.binary, True), (self.other, False)):
            optimizer.finalize_variable_values([v for v in var_list if self._is_binary(v) is binary])

    def set_weights(self, weights: list[Any]) -> None:
        """Sets the state of this optimizer and of both others, in the order of `variables`."""
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Saves what is not saved with `binary` and `other`, which Keras visits as well."""
        store["iterations"] = ops.convert_to_numpy(self._iterations)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` saved; as in Keras, warns of another optimizer's state and leaves it."""
        if list(store.keys()) != ["iterations"]:
            warnings.warn(
                f"SplitOptimizer '{self.name}' found the state of another optimizer in the file and starts anew: load "
                "the model under the dtype policy that it was saved under, or compile it with the optimizer it had.",
                stacklevel=2,
            )
            return
        self._iterations.assign(store["iterations"][()])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            "binary": keras.saving.serialize_keras_object(self.binary),
            "other": keras.saving.serialize_keras_object(self.other),
            "is_binary": keras.saving.serialize_keras_object(self.is_binary),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> SplitOptimizer:
        """Makes an optimizer from what `get_config` returned."""
        revived = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("binary", "other", "is_binary")
        }
        return cls(**{**config, **revived})
