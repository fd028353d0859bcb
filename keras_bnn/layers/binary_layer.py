"""What all binary layers share: quantized inputs, quantized kernels, their configuration."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn import constraints, quantizers


class BinaryLayer(keras.layers.Layer):
    """Mixin for a Keras layer that quantizes its inputs and its kernel.

    Put it before the Keras layer among the base classes. The subclass computes with `quantized_inputs(inputs)` and
    `quantized_kernel(self.kernel)`; `self.kernel` stays the real-valued latent weight, which the optimizer updates.

    Args:
        *args: Positional arguments of the Keras layer.
        kernel_constraint: As in the Keras layer, or "weight_clip".
        input_quantizer: Quantizer of the inputs (name, instance, function or None), see `keras_bnn.quantizers.get`.
        kernel_quantizer: Quantizer of the kernel, likewise.
        **kwargs: Keyword arguments of the Keras layer.
    """

    def __init__(
        self, *args: Any, kernel_constraint: Any, input_quantizer: Any, kernel_quantizer: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, kernel_constraint=constraints.get(kernel_constraint), **kwargs)
        self.input_quantizer = quantizers.get(input_quantizer)
        self.kernel_quantizer = quantizers.get(kernel_quantizer)
        if self.kernel_quantizer is not None and self.kernel_constraint is None:
            warnings.warn(
                f"{type(self).__name__} '{self.name}' has a quantized kernel but no kernel_constraint: latent weights "
                "may grow beyond the range in which they get a gradient, and then stay there; pass "
                "kernel_constraint='weight_clip'.",
                stacklevel=2 + type(self).__mro__.index(BinaryLayer),  # the line that makes the layer
            )

    def add_weight(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Adds a variable; kernels are exempt from a mixed-precision policy's cast, which comes after the sign.

        float16 would round a latent weight of -1e-9 to -0.0 and so turn its sign.
        """
        if name == "kernel":
            kwargs["autocast"] = False
        return super().add_weight(*args, name=name, **kwargs)

    def quantized_inputs(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the inputs as the layer computes with them."""
        return inputs if self.input_quantizer is None else self.input_quantizer(inputs)

    def quantized_kernel(self, kernel: Any) -> KerasTensor:
        """Returns the kernel as the layer computes with it, in the compute dtype."""
        if self.kernel_quantizer is not None:
            kernel = self.kernel_quantizer(kernel)
        return ops.cast(kernel, self.compute_dtype)

    def quantized_kernels(self) -> list[tuple[keras.Variable, Callable[[Any], Any]]]:
        """Returns the latent kernels with their quantizers; none before `build`, and no real-valued kernel.

        A layer whose kernels have other names overrides this.
        """
        kernel = getattr(self, "kernel", None)
        return [] if kernel is None or self.kernel_quantizer is None else [(kernel, self.kernel_quantizer)]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "input_quantizer": quantizers.serialize(self.input_quantizer),
            "kernel_quantizer": quantizers.serialize(self.kernel_quantizer),
        }
