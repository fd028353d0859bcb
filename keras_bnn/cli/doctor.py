"""Says what is installed, which kernels run here, and tests each of them on the installed runtime.

The self-test runs tiny packed models, which together hold every op, and compares each output with plain arithmetic on
+1 and -1.

Exit code 1 when something that is needed is missing, or when an output is wrong.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_bnn.cli.selftest_network import Network

HELP = "versions, runtime, kernels, and a self-test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: the command has no arguments."""


def run(args: argparse.Namespace) -> int:
    """Prints the findings and runs the self-test."""
    from keras_bnn.cli.selftest import networks
    from keras_bnn.runtime import cpu_info, stock_runtime

    _row("keras-bnn", _version("keras-bnn"))
    width = "" if sys.maxsize > 2**32 else ", 32-bit"  # which the kernel's name of the machine need not show
    _row("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}{width}")
    for package in ("numpy", "keras", "tensorflow"):
        _row(package, _version(package))
    _row("runtime", str(stock_runtime()))
    info = cpu_info()
    _row("library", f"{info['library_version']}, {info['library_path']}")
    _row("kernels built", ", ".join(info["kernel_sets"]))
    _row("kernels for this CPU", ", ".join(info["supported_kernel_sets"]))
    _row("kernels chosen", info["chosen_kernel_set"] or "none: KERAS_BNN_ISA names no kernels that run here")
    tested = networks()
    wrong = {isa: _wrong(tested, isa) for isa in info["supported_kernel_sets"]}
    for isa, found in wrong.items():
        _row(f"self-test, {isa}", f"outputs wrong: {found}" if found else "all outputs exact")
    if any(wrong.values()):
        print("keras-bnn doctor: wrong outputs, please report them with the lines above.", file=sys.stderr)
        return 1
    return 0 if info["chosen_kernel_set"] else 1


def _wrong(networks: dict[str, Network], isa: str) -> str:
    """Returns the numbers of wrong outputs by network, or nothing."""
    counts = {name: network.mistakes(isa) for name, network in networks.items()}
    return ", ".join(f"{count} in {name}" for name, count in counts.items() if count)


def _row(label: str, text: str) -> None:
    print(f"{label:<32}{text}")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
