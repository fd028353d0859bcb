"""The optimizer that flips binary weights."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import KerasTensor, ops
from keras.optimizers.schedules import LearningRateSchedule

from keras_bnn.constraints import WeightClip


@keras.saving.register_keras_serializable(package="keras_bnn")
class Bop(keras.optimizers.Optimizer):
    """Binary optimizer: weights are +1 or -1, and flip when their gradients insist. There are no latent weights.

    In each step with the gradient g (arXiv:1906.02107, algorithm 1):

    - `m = (1 - gamma) * m + gamma * g`
    - `w = -w where w * m > threshold else w`

    So a weight flips when it and m have the same sign, as the loss falls by then, and abs(m) exceeds the threshold; at
    equality it stays. The real values that an initializer gives count as their signs, with +1 for 0: the first step
    leaves +1 and -1 in the variable. A layer that quantizes its kernel by a sign, "ste_sign" say, computes the same
    before and after.

    The kernel's quantizer has to pass gradients at +1 and -1, as "ste_sign" does, and `NoOp(precision=1)`, which takes
    no second sign. "approx_sign" has none there, and that of "swish_sign" points the wrong way. The scale of
    "magnitude_aware_sign" becomes 1.

    It makes +1 and -1 of every variable that it is given, so give it kernels only: all else needs another optimizer, as
    in `SplitOptimizer(binary=Bop(), other=keras.optimizers.Adam())`.

    Args:
        threshold: Float of at least 0, or a `keras.optimizers.schedules.LearningRateSchedule`. The higher, the fewer
            weights flip.
        gamma: Float above 0 and up to 1, or a schedule: the adaptivity rate. It is this optimizer's `learning_rate`
            too, so that Keras's callbacks can change it; set to more than 1, it acts as 1.
        **kwargs: Further arguments of `keras.optimizers.Optimizer` but weight_decay, for example `name`, `clipnorm`
            and `gradient_accumulation_steps`. With `use_ema` the averages of the weights' signs are kept.

    Raises:
        ValueError: when threshold or gamma is out of range, with a weight_decay, for a variable with fewer than two
            axes, which is no kernel, or for a kernel whose quantizer passes no gradient where its constraint leaves +1
            and -1.

    Example:

    >>> w = keras.Variable([[0.5, -0.5, 1.0, -1.0]])
    >>> Bop(threshold=0.5, gamma=1.0).apply([keras.ops.array([[3.0, 3.0, 0.5, -0.75]])], [w])
    >>> keras.ops.convert_to_numpy(w).tolist()
    [[-1.0, -1.0, 1.0, 1.0]]
    """

    def __init__(self, threshold: Any = 1e-8, gamma: Any = 1e-4, **kwargs: Any) -> None:
        if kwargs.get("weight_decay") is not None:
            raise ValueError(
                f"Bop got weight_decay={kwargs['weight_decay']!r}: weights of +1 and -1 cannot decay, so leave it out."
            )
        if not isinstance(gamma, LearningRateSchedule):
            if not 0 < gamma <= 1:
                raise ValueError(f"Bop got gamma={gamma!r}: pass a number above 0 and up to 1, or a schedule.")
            gamma = float(gamma)
        super().__init__(learning_rate=gamma, **kwargs)
        if isinstance(threshold, LearningRateSchedule):
            self._threshold = threshold
        elif threshold >= 0:
            # A variable, as the learning rate is, so that a change reaches compiled training steps.
            self._threshold = self.add_variable(
                (),
                initializer=keras.initializers.Constant(threshold),
                aggregation="only_first_replica",
                name="threshold",
            )
        else:
            raise ValueError(f"Bop got threshold={threshold!r}: pass a number of at least 0, or a schedule.")

    @property
    def gamma(self) -> Any:
        """The adaptivity rate in this step, another name for `learning_rate`."""
        return self.learning_rate

    @gamma.setter
    def gamma(self, value: Any) -> None:
        self.learning_rate = value

    @property
    def threshold(self) -> Any:
        """The threshold in this step."""
        if isinstance(self._threshold, LearningRateSchedule):
            return self._threshold(self._iterations)
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        if isinstance(self._threshold, LearningRateSchedule):
            raise TypeError(
                f"Bop got threshold={value!r} after a schedule for it: make Bop with a number to set it later."
            )
        self._threshold.assign(value)

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates m of each variable."""
        if self.built:
            return
        for variable in variables:
            if len(variable.shape) < 2:
                raise ValueError(
                    f"Bop got the variable '{variable.path}' of shape {tuple(variable.shape)}, of which it would make "
                    "+1 and -1: train with SplitOptimizer(binary=Bop(), other=...), which gives it the binary kernels."
                )
            _check_quantizer(variable)
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: KerasTensor, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        momentum = self._momentums[self._get_variable_index(variable)]
        gamma = ops.minimum(ops.cast(learning_rate, variable.dtype), 1)
        threshold = ops.cast(self.threshold, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        new_momentum = ops.add(ops.multiply(1 - gamma, momentum), ops.multiply(gamma, gradient))
        signs = ops.cast(ops.where(ops.less(variable, 0), -1.0, 1.0), variable.dtype)
        flips = ops.greater(ops.multiply(signs, new_momentum), threshold)
        self.assign(momentum, new_momentum)
        self.assign(variable, ops.where(flips, ops.negative(signs), signs))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        config = super().get_config()
        threshold = self._threshold
        if isinstance(threshold, LearningRateSchedule):
            config["threshold"] = keras.optimizers.schedules.serialize(threshold)
        else:
            config["threshold"] = float(ops.convert_to_numpy(threshold))
        config["gamma"] = config.pop("learning_rate")
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Bop:
        """Makes an optimizer from what `get_config` returned."""
        schedules = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("threshold", "gamma")
            if isinstance(config.get(name), dict)
        }
        return cls(**{**config, **schedules})


def _check_quantizer(kernel: keras.Variable) -> None:
    """Refuses a kernel that Bop would never flip, or always wrongly."""
    quantizer = getattr(kernel, "quantizer", None)
    reach = getattr(quantizer, "gradient_reach", math.inf)
    constraint = kernel.constraint
    magnitude = min(1.0, constraint.bound(kernel.shape)) if isinstance(constraint, WeightClip) else 1.0
    if magnitude > reach:
        raise ValueError(
            f"Bop got the kernel '{kernel.path}', whose quantizer {type(quantizer).__name__} passes no right gradient "
            f"beyond {reach:.4g}, to weights of {magnitude:.4g} and {-magnitude:.4g}: give the layer "
            "kernel_quantizer='ste_sign'."
        )
