"""Models that run in an ARM userland and on this machine, and must give the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from random import Random

import numpy as np
from format_reference import run_packed

from support.delegate import assert_same_bits
from support.mnist import MODELS, digits
from support.networks import random_network
from support.session import Session
from support.userland import Userland


def check_random_networks(userland: Userland, count: int, kernel_sets: Sequence[str]) -> None:
    """Compare random networks with what numpy computes here, on another CPU."""
    networks = {f"{seed:03}": random_network(Random(seed), 1 + seed % 5) for seed in range(count)}
    folder = userland.folder / "networks"
    folder.mkdir()
    batches = (2, 1, 3)
    for name, network in networks.items():
        (folder / f"{name}.tflite").write_bytes(network.model)
        np.savez(folder / f"{name}.inputs.npz", **{str(batch): network.inputs(batch)[0] for batch in batches})
    for isa in kernel_sets:
        userland.evaluate(folder, isa)
        for name, network in networks.items():
            with np.load(folder / f"{name}.{isa}.npz") as outputs:
                for batch in batches:
                    assert_same_bits([outputs[str(batch)]], run_packed(network.model, network.inputs(batch)))


def check_mnist_models(userland: Userland, isa: str, images: int = 1000) -> None:
    """Compare the scores of the shipped MNIST models for some test images with those that they give on this machine.

    They may be equal, because these models hold no stock op that rounds.
    """
    folder = userland.folder / "mnist"
    folder.mkdir()
    x = digits()[0][:images]
    batches = {f"{first:05}": x[first : first + 100] for first in range(0, len(x), 100)}
    for model in MODELS:
        shutil.copy(model, folder)
        np.savez(folder / f"{model.stem}.inputs.npz", **batches)
    userland.evaluate(folder, isa)
    for model in MODELS:
        session = Session(model.read_bytes(), "scalar", num_threads=2)
        with np.load(folder / f"{model.stem}.{isa}.npz") as outputs:
            for name, batch in batches.items():
                assert_same_bits([outputs[name]], session.run([batch]))
