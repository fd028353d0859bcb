"""What the summary tells of one layer and of the whole model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from keras_bnn.whole_file import write_whole


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a model. A layer that is called several times stands here once.

    Attributes:
        name: Its path: its name, behind the names of the models and blocks that hold it.
        kind: Its class.
        calls: How often the model calls it.
        input_bits: Bits of the numbers that its arithmetic takes, after its own input quantizer; those that it
            receives where it has none. The widest, when its calls differ.
        output_shape: Shape of its first output without the batch dimension; None for a free size.
        weights: How many weights it has, by bits of a weight. Batch normalization's moving statistics count.
        packed_bytes: Bytes of its weights in the packed .tflite file, see `docs/summary.md`.
        float32_bytes: Bytes of its weights in float32: 4 for each.
        macs: Multiply-accumulates on one sample, all calls together, by bits of the weight and bits of the input:
            "1x1", "1x32", "32x32". Where two computed tensors are multiplied, the first is taken as the input.
        filters: How many 2-D filters its binary kernels have, larger than 1x1; 0 for other layers.
        unique_filters: How many of them are different from the others on the same input channel, a filter and its
            inverse counting as one.
    """

    name: str
    kind: str
    calls: int
    input_bits: int
    output_shape: tuple[int | None, ...]
    weights: dict[int, int]
    packed_bytes: int
    float32_bytes: int
    macs: dict[str, int]
    filters: int
    unique_filters: int


@dataclass(frozen=True)
class ModelSummary:
    """What a model takes, layer by layer. `print(summary)` shows it as a table, a notebook as one with bars.

    Attributes:
        name: The model's name.
        layers: Its layers in the order in which they run.
        notes: What a figure above does not tell: one sentence each.
    """

    name: str
    layers: tuple[LayerSummary, ...]
    notes: tuple[str, ...]

    @property
    def weights(self) -> dict[int, int]:
        """The number of weights by bits of a weight."""
        return _added(layer.weights for layer in self.layers)

    @property
    def macs(self) -> dict[str, int]:
        """The multiply-accumulates on one sample, by bits of the weight and bits of the input."""
        return _added(layer.macs for layer in self.layers)

    @property
    def packed_bytes(self) -> int:
        """Bytes of all weights in the packed .tflite file, as predicted."""
        return sum(layer.packed_bytes for layer in self.layers)

    @property
    def float32_bytes(self) -> int:
        """Bytes of all weights in float32."""
        return sum(layer.float32_bytes for layer in self.layers)

    @property
    def compression(self) -> float:
        """How many times smaller the packed weights are than float32; 1.0 for a model without weights."""
        return self.float32_bytes / self.packed_bytes if self.packed_bytes else 1.0

    @property
    def unique_filter_share(self) -> float | None:
        """Share of binary 2-D filters that are unique on their input channel, from 0 to 1; None without any."""
        filters = sum(layer.filters for layer in self.layers)
        return sum(layer.unique_filters for layer in self.layers) / filters if filters else None

    def to_dict(self) -> dict[str, Any]:
        """Returns layers, totals and notes in plain Python types, ready for JSON."""
        return {
            "name": self.name,
            "layers": [
                {**asdict(layer), "output_shape": list(layer.output_shape), "weights": _text_keys(layer.weights)}
                for layer in self.layers
            ],
            "total": {
                "weights": _text_keys(self.weights),
                "packed_bytes": self.packed_bytes,
                "float32_bytes": self.float32_bytes,
                "compression": self.compression,
                "macs": self.macs,
                "unique_filter_share": self.unique_filter_share,
            },
            "notes": list(self.notes),
        }

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Returns the summary as one HTML page that needs nothing else, and writes it to a file.

        Args:
            path: Where to write the page; None writes nothing.
        """
        from keras_bnn.model_summary.html import page

        text = page(self)
        if path is not None:
            write_whole(path, text.encode(errors="backslashreplace"))
        return text

    def _repr_html_(self) -> str:
        """Shows the summary in a notebook."""
        from keras_bnn.model_summary.html import fragment

        return fragment(self)

    def __str__(self) -> str:
        from keras_bnn.model_summary.text import text

        return text(self)


def _added(counts: Iterable[dict[Any, int]]) -> dict[Any, int]:
    total: Counter[Any] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items(), key=lambda item: sort_key(item[0])))


def _text_keys(counts: dict[int, int]) -> dict[str, int]:
    return {str(key): count for key, count in counts.items()}


def sort_key(precision: int | str) -> tuple[int, ...]:
    """Returns what puts 1 before 32, and "1x1" before "1x32" before "32x32"."""
    return tuple(int(bits) for bits in str(precision).split("x"))
