"""A chart of latencies, a group of bars for each layer."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from keras_bnn.whole_file import write_whole

COLORS = {
    "bits to bits": "tab:blue",
    "float to bits": "tab:cyan",
    "int8 to bits": "tab:purple",
    "float to float": "tab:green",
    "stock float32": "tab:gray",
    "stock int8": "tab:orange",
    "LCE default": "tab:red",
    "LCE indirect": "tab:pink",
}


def save_bar_chart(latencies: Mapping[str, Mapping[str, float]], title: str, path: Path) -> None:
    """Writes a picture of the latencies, in microseconds, on a logarithmic axis.

    Args:
        latencies: For each layer the latency of each form.
        title: What stands above the chart.
        path: The file; its ending says which kind of picture.
    """
    import matplotlib

    matplotlib.use("Agg")  # needs no screen
    from matplotlib import pyplot as plt

    bars = sum(len(forms) + 1 for forms in latencies.values())
    figure, axes = plt.subplots(figsize=(9, 1 + 0.18 * bars), layout="constrained")
    place, ticks, labeled = 0, [], set()
    for forms in latencies.values():
        ticks.append(place + (len(forms) - 1) / 2)
        for form, latency in forms.items():
            axes.barh(place, latency, 0.9, color=COLORS[form], label=None if form in labeled else form)
            axes.annotate(f" {latency:,.1f}", (latency, place), va="center", fontsize=6)
            labeled.add(form)
            place += 1
        place += 1
    axes.set_yticks(ticks, list(latencies))
    axes.set_ylim(place - 1, -1)
    axes.set_xscale("log")
    axes.margins(x=0.1)  # room for the numbers
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("microseconds, median")
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=7)
    image = io.BytesIO()
    figure.savefig(image, dpi=150, format=path.suffix.removeprefix(".") or "png")
    write_whole(path, image.getvalue())
