"""Reports in fit how many binary weights change."""

from __future__ import annotations

from typing import Any

import keras

from keras_bnn.metrics.flip_ratio import FlipRatio


class FlipRatioLogger(keras.callbacks.Callback):
    """Adds "flip_ratio" to the logs of `fit`: the share of binary weights that an update changed, see `FlipRatio`.

    It is the average over the epoch's updates so far (with gradient_accumulation_steps only some batches end in one),
    and shows up in the progress bar, in the history, and in the callbacks behind this one. It is right on every
    backend, compiled or not, and for every distribution of the model, since it looks at the weights between two steps.
    The last signs take one byte a binary weight, on the device of the weights.

    Args:
        per_kernel: Whether to add "flip_ratio/<path>" for each kernel as well, with the paths of
            `keras_bnn.binary_weights`.

    Raises:
        ValueError: in fit, when the model has no binary kernel, or makes several updates between two looks
            (steps_per_execution > 1).

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), layers.BinaryDense(2)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 3)), np.ones((8, 2))
    >>> history = model.fit(x, y, verbose=0, callbacks=[FlipRatioLogger()]).history
    >>> sorted(history)
    ['flip_ratio', 'loss']
    """

    def __init__(self, per_kernel: bool = False) -> None:
        super().__init__()
        self.per_kernel = per_kernel

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Looks at the signs before the first update."""
        model = self.model
        if model.steps_per_execution > 1:
            raise ValueError(
                f"FlipRatioLogger got a model with steps_per_execution={model.steps_per_execution}, where it sees only "
                "some of the updates: compile it with steps_per_execution=1."
            )
        self._metric = FlipRatio(model, self.per_kernel)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts a new average."""
        self._metric.reset_state()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares the signs with those before the update."""
        model = self.model  # on JAX, puts the new weights into the variables
        if _has_stepped(model.optimizer):
            self._metric.update_state()
        self._add_to(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the epoch's average."""
        self._add_to(logs)

    def _add_to(self, logs: dict[str, Any] | None) -> None:
        if logs is not None:
            result = self._metric.result()
            ratios = result if self.per_kernel else {self._metric.name: result}
            logs.update({name: float(ratio) for name, ratio in ratios.items()})


def _has_stepped(optimizer: Any) -> bool:
    """Returns whether a batch ended in an update of the binary kernels, and not only in more gradients for one."""
    for name in ("inner_optimizer", "binary"):  # of a loss scale, and of a SplitOptimizer
        optimizer = getattr(optimizer, name, optimizer)
    steps = getattr(optimizer, "gradient_accumulation_steps", None)
    return not steps or int(keras.ops.convert_to_numpy(optimizer._iterations)) % steps == 0
