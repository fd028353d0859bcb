"""A quantizer as a layer of its own."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn import quantizers
from keras_bnn.layers.quantizer_ownership import build_quantizer


@keras.saving.register_keras_serializable(package="keras_bnn")
class Quantize(keras.layers.Layer):
    """Quantizes its inputs, for places where no binary layer does it: before a max-pool or a skip connection, say.

    `outputs = quantizer(inputs)`

    Args:
        quantizer: A name, an instance or a function of one tensor, see `keras_bnn.quantizers.get`. An instance with
            weights, such as `RSign()`, serves one layer.
        **kwargs: Arguments of `keras.layers.Layer`, for example `name` and `dtype`.

    Input shape:
        Any.

    Output shape:
        The input's.

    Raises:
        ValueError: when quantizer is None or unknown.

    Example:

    >>> keras.ops.convert_to_numpy(Quantize()(np.array([-0.5, 0.0, 2.0]))).tolist()
    [-1.0, 1.0, 1.0]
    """

    def __init__(self, quantizer: Any = "ste_sign", **kwargs: Any) -> None:
        # Without autocast, so that the cast to float16, which rounds -1e-9 to -0.0, comes after the sign.
        super().__init__(autocast=False, **kwargs)
        if quantizer is None:
            raise ValueError("Quantize got quantizer=None: pass a quantizer, for example 'ste_sign'.")
        self.quantizer = quantizers.get(quantizer)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the variables of a quantizer that has some."""
        build_quantizer(self.quantizer, input_shape, self, "quantizer")

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Returns the quantized inputs. A quantizer that behaves differently while training sees `training`."""
        assert self.quantizer is not None
        return ops.cast(self.quantizer(inputs), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "quantizer": quantizers.serialize(self.quantizer)}
