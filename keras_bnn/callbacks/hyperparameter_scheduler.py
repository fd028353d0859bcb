"""Changes the optimizer's hyperparameters in the course of a training."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any, Literal

import keras


class HyperparameterScheduler(keras.callbacks.Callback):
    """Sets an attribute of the optimizer to a function of the epoch or of the step.

    The value appears in the logs under the attribute's name: in the history and in the callbacks behind this one.

    An attribute that Keras holds as a variable, as learning rates are, is set at no cost. One that is a plain number,
    as momentum, beta_1 and weight_decay are, is part of the compiled training step: with every change of its value the
    step is compiled anew.

    Args:
        hyperparameter: Name of the attribute: "learning_rate", or "threshold" of `Bop`; with dots for an optimizer
            within an optimizer, as in "binary.threshold" of a `SplitOptimizer`.
        schedule: Function of one int that returns a number: of the epoch, from 0, or of the step, the optimizer's
            number of updates so far, from 0. A schedule from `keras.optimizers.schedules` is one.
        every: "epoch" or "step": what the schedule is a function of, and when the value is set.
        verbose: 1 prints the value at the start of each epoch, 0 does not.

    Raises:
        ValueError: in fit, when the optimizer has no such attribute; when the attribute is a schedule itself; when
            every="step" meets a plain number in a compiled model; when schedule returns no finite number; or when it
            takes a momentum from or to 0, which the optimizer's variables are made for.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), layers.BinaryDense(2)])
    >>> model.compile("adam", "mse")
    >>> halved = HyperparameterScheduler("learning_rate", lambda epoch: 0.5 ** (epoch + 1))
    >>> x, y = np.ones((8, 3)), np.ones((8, 2))
    >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[halved]).history["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    def __init__(
        self,
        hyperparameter: str,
        schedule: Callable[[int], Any],
        every: Literal["epoch", "step"] = "epoch",
        verbose: int = 0,
    ) -> None:
        super().__init__()
        if every not in ("epoch", "step"):
            raise ValueError(f"HyperparameterScheduler got every={every!r}: pass 'epoch' or 'step'.")
        if not callable(schedule):
            raise ValueError(
                f"HyperparameterScheduler got schedule={schedule!r}: pass a function of the {every}, an int from 0."
            )
        self.hyperparameter = hyperparameter
        self.schedule = schedule
        self.every = every
        self.verbose = verbose

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses what could not be set, before the first step."""
        owner, name = self._owner()
        if self.every == "step" and _is_traced(self.model) and not isinstance(getattr(owner, name), keras.Variable):
            raise ValueError(
                f"{type(owner).__name__} holds {name} as the plain number {getattr(owner, name)!r}, which the compiled "
                "training step does not read again: pass every='epoch', which compiles a new one, or compile the model "
                "with run_eagerly=True."
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the epoch's value."""
        self._epoch = epoch
        if self.every == "epoch":
            self._set(epoch)
            self._print()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the step's value."""
        if self.every == "step":
            self._set(int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)))
            if batch == 0:
                self._print()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the value of the epoch's last step."""
        if logs is not None:
            logs[self.hyperparameter] = self._value

    def _set(self, count: int) -> None:
        value = self.schedule(count)
        if keras.ops.is_tensor(value):  # of a Keras schedule
            value = keras.ops.convert_to_numpy(value)
        if hasattr(value, "item") and math.prod(getattr(value, "shape", ())) == 1:
            value = value.item()
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(
                f"The schedule of {self.hyperparameter} returned {value!r} for {self.every} {count}: let it return a "
                "finite number."
            )
        self._value = float(value)
        owner, name = self._owner()
        held = getattr(owner, name)
        has_setter = isinstance(getattr(type(owner), name, None), property)
        if not isinstance(held, keras.Variable):
            self._set_number(owner, name, held)
        elif has_setter:
            setattr(owner, name, self._value)
        else:
            held.assign(self._value)

    def _set_number(self, owner: Any, name: str, held: Any) -> None:
        if held == self._value:
            return
        if name == "momentum" and owner.built and 0 in (held, self._value):
            raise ValueError(
                f"The schedule of {self.hyperparameter} goes from {held!r} to {self._value!r}, but "
                f"{type(owner).__name__} makes the variables of a momentum once: create it with a momentum above 0, "
                "and stay above 0."
            )
        setattr(owner, name, self._value)
        if _is_traced(self.model):
            self.model.make_train_function(force=True)  # fit calls the new one from the next step on

    def _owner(self) -> tuple[Any, str]:
        """Returns the optimizer that has the attribute, and the attribute's own name."""
        model = self.model  # on JAX, puts the optimizer's state into its variables
        owner = model.optimizer
        *path, name = self.hyperparameter.split(".")
        if not hasattr(owner, [*path, name][0]):
            owner = getattr(owner, "inner_optimizer", owner)  # mixed_float16 wraps the optimizer in a loss scale
        for part in path:
            owner = self._attribute(owner, part)
        held = self._attribute(owner, name)
        if isinstance(held, keras.Variable):
            return owner, name
        if callable(getattr(owner, f"_{name}", None)) or not isinstance(held, Real):
            raise ValueError(
                f"HyperparameterScheduler cannot set {name} of {type(owner).__name__}, which has a schedule of its own "
                "or is no number: create the optimizer with a plain number."
            )
        return owner, name

    def _attribute(self, owner: Any, name: str) -> Any:
        if not hasattr(owner, name):
            raise ValueError(
                f"HyperparameterScheduler got hyperparameter='{self.hyperparameter}', but {type(owner).__name__} has "
                f"no '{name}': pass the name of an attribute of the optimizer."
            )
        return getattr(owner, name)

    def _print(self) -> None:
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: {self.hyperparameter} is set to {self._value:g}.")


def _is_traced(model: keras.Model) -> bool:
    """Whether a training step reads Python's numbers only while it is traced."""
    if model.run_eagerly:
        return False
    return keras.backend.backend() == "tensorflow" or bool(model.jit_compile)
