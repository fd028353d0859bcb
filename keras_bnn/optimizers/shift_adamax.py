"""AdaMax without multiplications by anything but powers of two."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.power_of_two import ap2


@keras.saving.register_keras_serializable(package="keras_bnn")
class ShiftAdaMax(keras.optimizers.Optimizer):
    """Shift-based AdaMax: Adam's variant with the maximum norm, in which the rates are powers of two.

    In step t = 1, 2, ... with the gradient g (arXiv:1602.02830, algorithm 4):

    - `m = beta_1 * m + (1 - beta_1) * g`
    - `v = max(beta_2 * v, abs(g))`
    - `w = w - ap2(learning_rate / (1 - beta_1 ** t)) * m * ap2(1 / v)`

    where `ap2(x) = sign(x) * 2 ** round(log2(abs(x)))` is the nearest power of two, so that hardware multiplies by
    shifting. Then the variable's constraint is applied, as after any Keras optimizer: `WeightClip("glorot")`, say, for
    the Glorot scaling of the learning rate.

    The defaults are those of algorithm 4. The experiments' Torch7 scripts start from learning_rate=2**-6, halve it
    every 20 epochs on MNIST and every 50 on CIFAR-10, and use beta_1=0.9 and beta_2=0.999. Halving keeps a power of
    two; of a rate that falls smoothly only the nearest power of two acts, so that a change by less than a factor of
    sqrt(2) may have no effect.

    Where the paper and its scripts differ, this class follows the paper, as does its memory:

    - v keeps its value. The scripts put ap2(v) in its place, which undoes any decay: there v never falls.
    - Where v is tiny, ap2(1 / max(v, epsilon)) is taken, a power of two as well. The scripts add epsilon to ap2(v).

    Args:
        learning_rate: Float, a `keras.optimizers.schedules.LearningRateSchedule`, or a callable without arguments.
        beta_1: Float in [0, 1), the decay of the mean of the gradients.
        beta_2: Float in [0, 1), the decay of their maximum.
        epsilon: Positive float, the smallest v to divide by: 2**-27 as in the scripts.
        **kwargs: Further arguments of `keras.optimizers.Optimizer`, for example `name`, `clipnorm`, `weight_decay`,
            `use_ema` and `gradient_accumulation_steps`.

    Raises:
        ValueError: when a beta is not in [0, 1) or epsilon is not positive.

    Example:

    >>> w = keras.Variable([0.5, -0.5])
    >>> ShiftAdaMax(learning_rate=2**-3).apply([keras.ops.array([3.0, -0.25])], [w])
    >>> keras.ops.convert_to_numpy(w).tolist()
    [0.40625, -0.375]
    """

    def __init__(
        self,
        learning_rate: Any = 2**-10,
        beta_1: float = 1 - 2**-3,
        beta_2: float = 1 - 2**-10,
        epsilon: float = 2**-27,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"ShiftAdaMax got {name}={beta!r}: pass a number of at least 0 and below 1.")
        if not epsilon > 0:
            raise ValueError(f"ShiftAdaMax got epsilon={epsilon!r}: pass a number above 0, for example 2**-27.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates m and v of each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._norms = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient: KerasTensor, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        index = self._get_variable_index(variable)
        momentum, norm = self._momentums[index], self._norms[index]
        gradient = ops.cast(gradient, variable.dtype)
        new_momentum = ops.add(ops.multiply(self.beta_1, momentum), ops.multiply(1 - self.beta_1, gradient))
        new_norm = ops.maximum(ops.multiply(self.beta_2, norm), ops.abs(gradient))
        self.assign(momentum, new_momentum)
        self.assign(norm, new_norm)

        # In float32, which holds 1 / epsilon; float16 does not.
        step = ops.cast(self.iterations + 1, "float32")
        bias_correction = ops.subtract(1.0, ops.power(self.beta_1, step))
        rate = ap2(ops.divide(ops.cast(learning_rate, "float32"), bias_correction))
        scale = ap2(ops.divide(1.0, ops.maximum(ops.cast(new_norm, "float32"), self.epsilon)))
        self.assign_sub(variable, ops.cast(ops.multiply(rate, ops.multiply(new_momentum, scale)), variable.dtype))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
