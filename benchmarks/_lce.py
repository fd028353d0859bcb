"""Larq Compute Engine 0.16 as a peer: a process in its own environment, which makes its files and times them.

The two processes take turns: ours waits while the other one times a block of calls, and the other one waits for the
next command while ours does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from _layer import Layer

HERE = Path(__file__).resolve().parent
VARIABLE = "KERAS_BNN_LCE_PYTHON"
MODULES = "larq_zoo, larq_compute_engine"

Block = Callable[[int], list[float]]


class LarqComputeEngine:
    """A process of Larq Compute Engine.

    Args:
        process: It runs `_lce_process.py`.
        errors: What it prints.
        folder: Where files are handed over.
    """

    def __init__(self, process: subprocess.Popen[str], errors: IO[str], folder: Path):
        self._process = process
        self._errors = errors
        self._folder = folder

    def layer(self, layer: Layer) -> dict[str, Block]:
        """The variants that have this layer, float to float; none where it has no such op.

        Each one's outputs have been compared with the layer's, and each function makes a number of calls and returns
        the seconds of each.
        """
        if layer.op != "Conv2D" or layer.is_first:
            return {}
        path = self._folder / "layer.npz"
        np.savez(
            path,
            x=layer.real_input,
            kernel=np.moveaxis(layer.signs, 0, -1),
            multiplier=layer.multiplier,
            bias=layer.bias,
            outputs=layer.outputs,
            stride=layer.stride,
            groups=layer.groups,
        )
        return self._blocks({"layer": str(path)})

    def network(self, name: str, images: np.ndarray) -> tuple[Path, dict[str, np.ndarray], dict[str, Block]]:
        """The stock converter's file of Larq's network, each variant's scores of the images, and the variants.

        A variant's function classifies the first image a number of times and returns the seconds of each.
        """
        stock, pixels, scores = (self._folder / name for name in ("stock.tflite", "images.npy", "scores.npz"))
        np.save(pixels, images)
        blocks = self._blocks({"network": name, "images": str(pixels), "stock": str(stock), "scores": str(scores)})
        with np.load(scores) as arrays:
            return stock, dict(arrays), blocks

    def _blocks(self, command: dict[str, Any]) -> dict[str, Block]:
        return {name: partial(self._seconds, name) for name in self._ask(command)}

    def _seconds(self, variant: str, calls: int) -> list[float]:
        return self._ask({"variant": variant, "calls": calls})

    def _ask(self, command: dict[str, Any]) -> Any:
        """Sends a command and returns the answer.

        Raises:
            RuntimeError: when the process ends instead, with the last lines that it printed.
        """
        assert self._process.stdin
        assert self._process.stdout
        answer = ""
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            pass  # it has ended: no answer either
        if not answer:
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines()[-20:]
            raise RuntimeError(f"Larq Compute Engine's process ended at {command}:\n" + "\n".join(lines))
        return json.loads(answer)


def add_lce_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the environment."""
    parser.add_argument(
        "--lce",
        metavar="PYTHON",
        default=os.environ.get(VARIABLE),
        help=f"a Python that imports Larq Compute Engine, to measure it too (default: the one of {VARIABLE})",
    )


@contextmanager
def open_lce(parser: argparse.ArgumentParser, python: str | None, threads: int) -> Iterator[LarqComputeEngine | None]:
    """The process, or None and a line that says why; ends the program as wrong usage when a named Python is wrong."""
    if python is None:
        print(f"Without Larq Compute Engine: neither --lce nor {VARIABLE} names a Python that imports it.")
        yield None
        return
    try:
        run = subprocess.run([python, "-c", f"import {MODULES}"], capture_output=True, text=True, check=False)
        problem = run.stderr.strip().rpartition("\n")[2] if run.returncode else None
    except OSError as error:
        problem = str(error)
    if problem is not None:
        parser.error(f"--lce is {python}, but has to be a Python that imports {MODULES}: {problem}")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        command = [python, str(HERE / "_lce_process.py"), str(threads)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            yield LarqComputeEngine(process, errors, Path(folder))
