"""How many instructions our kernels take on ARM, exactly, and how many cycles their inner loops take by LLVM's models.

    python benchmarks/arm.py --json arm.json
    python benchmarks/arm.py --target armv7 --only 3x3
    python benchmarks/arm.py --counts-only --compare benchmarks/arm/counts_aarch64.json

No ARM machine is needed. cc_ops/bench is built for ARM and runs under QEMU, whose plugin benchmarks/arm/count.c counts
the instructions of one run of each layer; its outputs are compared with those of a plain loop. Counts do not depend on
the machine's load, so the smallest gain or loss shows, but they are no times. llvm-mca models the cycles of the loops
that count bits, with all data in the L1 cache. Take both for comparisons with each other.

It needs CMake, a C compiler, and Debian 12's packages g++-aarch64-linux-gnu (g++-arm-linux-gnueabihf for armv7) and
qemu-user: the plugin is for QEMU 7.2, and qemu-user-static has no plugins. The models need llvm-19, and are left out
without it. The target avx2 is counted in the same way on x86-64, without models; QEMU has no AVX-512.

`--compare` fails where a count is more than 10 % away from the file's, which `--json FILE --counts-only` has written: a
loss is to be mended, and a gain to be written down, so that it stays.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from _cycle_models import PRODUCTS, disassemble, find_mca, mca_version, models
from _json_file import write_json

ROOT = Path(__file__).resolve().parents[1]
BAND = 0.10  # change of a count that a change elsewhere, such as the compiler's mood about registers, may cause


class Target(NamedTuple):
    """What a kernel set is built and run with.

    Attributes:
        kernel_set: Its name.
        triple: The target of compiler and models; cc_ops/cmake has a toolchain file of this name.
        qemu: The emulator.
        cpu: The CPU that it emulates.
        kernels: The kernel set's object file.
        model_triple: The target for llvm-mca.
        models: CPUs to model.
    """

    kernel_set: str
    triple: str
    qemu: str
    cpu: str
    kernels: str
    model_triple: str
    models: tuple[str, ...]


TARGETS = {
    "aarch64": Target(
        kernel_set="neon",
        triple="aarch64-linux-gnu",
        qemu="qemu-aarch64",
        cpu="cortex-a72",
        kernels="neon.cc.o",
        model_triple="aarch64-linux-gnu",
        models=("cortex-a53", "cortex-a72", "neoverse-n1"),
    ),
    # Vectors of 256 bits when counting, of 128 in the models.
    "sve2": Target(
        kernel_set="sve2",
        triple="aarch64-linux-gnu",
        qemu="qemu-aarch64",
        cpu="max,sve256=on",
        kernels="sve2.cc.o",
        model_triple="aarch64-linux-gnu",
        models=("cortex-a510", "neoverse-n2", "neoverse-v2"),
    ),
    # LLVM has no model of the older cores that this set is for.
    "armv7": Target(
        kernel_set="neon",
        triple="arm-linux-gnueabihf",
        qemu="qemu-arm",
        cpu="cortex-a7",
        kernels="neon_armv7.cc.o",
        model_triple="thumbv7-linux-gnueabihf",
        models=("cortex-a57", "cortex-a72"),
    ),
    "avx2": Target(
        kernel_set="avx2",
        triple="x86_64-linux-gnu",
        qemu="qemu-x86_64",
        cpu="max",
        kernels="avx2.cc.o",
        model_triple="x86_64-linux-gnu",
        models=(),
    ),
}


class UnavailableError(Exception):
    """A program that is needed is not there: what, and how to install it."""


def require(target: Target, qemu: str) -> None:
    """Stops unless the programs are there."""
    compiler = f"{target.triple}-g++"
    package = compiler[len(target.triple) + 1 :] if target.triple == "x86_64-linux-gnu" else f"g++-{target.triple}"
    packages = {"cmake": "cmake", "cc": "gcc", compiler: package, qemu: "qemu-user"}
    missing = [program for program in packages if shutil.which(program) is None]
    if missing:
        names = " ".join(packages[program] for program in missing)
        raise UnavailableError(f"Counting needs {' and '.join(missing)}: on Debian 12 run `apt-get install {names}`.")
    usage = subprocess.run([qemu, "-h"], capture_output=True, text=True, check=False).stdout
    if "-plugin" not in usage:
        raise UnavailableError(
            f"Counting needs a QEMU with plugins, which {qemu} has not: on Debian 12 run `apt-get install qemu-user` "
            "(the programs of qemu-user-static have none), or name another one with --qemu."
        )


def build(target: Target, folder: Path) -> tuple[Path, Path]:
    """Builds the plugin and the benchmark; returns both."""
    options = [f"-DCMAKE_TOOLCHAIN_FILE=cmake/{target.triple}.cmake", "-DKERAS_BNN_BUILD_BENCH=ON"]
    run_quietly("cmake", "-S", ROOT / "cc_ops", "-B", folder, *options)
    run_quietly("cmake", "--build", folder, "--target", "keras_bnn_bench", "--parallel", os.cpu_count())
    plugin = folder / "libcount.so"
    run_quietly("cc", "-O2", "-fPIC", "-shared", "-o", plugin, ROOT / "benchmarks" / "arm" / "count.c")
    return plugin, folder / "bench" / "keras_bnn_bench"


def run_quietly(*command: Any) -> str:
    """Runs a program and returns what it printed.

    Raises:
        RuntimeError: when it fails, with the end of what it printed.
    """
    words = [str(word) for word in command]
    run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {run.stdout.strip()[-2000:]}")
    return run.stdout


def count(target: Target, qemu: str, plugin: Path, bench: Path, only: str) -> dict[str, Any]:
    """For each case its work, as multiply-accumulates or values, and its counts."""
    # Without an environment, so that the stack lies the same everywhere.
    emulator = ["env", "-i", shutil.which(qemu), "-cpu", target.cpu, "-L", f"/usr/{target.triple}"]
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        for line in run_quietly(*emulator, bench).splitlines():
            name, work = line.split("\t")
            if only in name:
                run_quietly(*emulator, "-plugin", f"{plugin},out={counts}", bench, target.kernel_set, name)
                cases[name] = {"work": int(work), **json.loads(counts.read_text())}
    return cases


def compare(result: Mapping[str, Any], stored: Mapping[str, Any], path: Path, only: str) -> list[str]:
    """A sentence for each loss against stored counts, for each gain that they lack, and for each case."""
    for what in ("target", "compiler"):
        if stored[what] != result[what]:
            return [
                f"{path} has counts of {stored[what]}, not of {result[what]}: write it anew with the kernels that it "
                "was made of, and compare then."
            ]
    changes = []
    for name in [*stored["cases"], *(name for name in result["cases"] if name not in stored["cases"])]:
        if only not in name:
            continue
        if name not in result["cases"]:
            changes.append(f"{name} is in {path}, but no case any more: write the file anew.")
            continue
        if name not in stored["cases"]:
            changes.append(f"{name} is a case, but not in {path}: write the file anew.")
            continue
        then, now = stored["cases"][name]["instructions"], result["cases"][name]["instructions"]
        if now > then * (1 + BAND):
            changes.append(
                f"{name} takes {now:,} instructions, {100 * (now / then - 1):.1f} % more than the {then:,} of {path}: "
                "make the kernel as short as it was, or write the file anew and say why."
            )
        elif now < then * (1 - BAND):
            changes.append(
                f"{name} takes {now:,} instructions, {100 * (1 - now / then):.1f} % fewer than the {then:,} of {path}: "
                "write the file anew, so that the gain stays."
            )
    return changes


def main() -> None:
    """Builds, counts, models, prints tables, and writes and compares JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, default="aarch64", help="what to build for (default: aarch64)")
    parser.add_argument("--qemu", metavar="PROGRAM", help="QEMU's user-mode emulator (default: the one on the PATH)")
    parser.add_argument("--only", default="", metavar="TEXT", help="count the cases whose name holds this text")
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="where to build (default: build/bench-TARGET)")
    parser.add_argument("--counts-only", action="store_true", help="leave the models out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write the figures to")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="figures that counts may differ from by 10 %%")
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    qemu = arguments.qemu or target.qemu
    try:
        require(target, qemu)
    except UnavailableError as problem:
        parser.error(str(problem))
    folder = arguments.build or ROOT / "build" / f"bench-{arguments.target}"
    plugin, bench = build(target, folder)
    result: dict[str, Any] = {
        "target": arguments.target,
        "kernel_set": target.kernel_set,
        "compiler": run_quietly(f"{target.triple}-g++", "--version").splitlines()[0],
        "cases": count(target, qemu, plugin, bench, arguments.only),
    }
    if not result["cases"]:
        parser.error(f"--only is {arguments.only!r}, but has to be a part of a case's name.")
    print_counts(result)
    if target.models and not arguments.counts_only:
        add_models(result, target, folder)
    if arguments.json:
        write_json(arguments.json, result)
    if arguments.compare:
        changes = compare(result, json.loads(arguments.compare.read_text()), arguments.compare, arguments.only)
        print("\n" + ("\n".join(changes) or f"All counts are within {BAND:.0%} of {arguments.compare}."))
        sys.exit(1 if changes else 0)


def print_counts(result: Mapping[str, Any]) -> None:
    """Prints the table of counts."""
    print(f"Kernels {result['kernel_set']}, {result['compiler']}\n")
    columns = list(next(iter(result["cases"].values())))[1:]
    print(f"{'case':<44}{'work':>13}{''.join(f'{column:>14}' for column in columns)}{'per 128':>9}")
    for name, case in result["cases"].items():
        counts = "".join(f"{case[column]:>14,}" for column in columns)
        print(f"{name:<44}{case['work']:>13,}{counts}{case['instructions'] / case['work'] * PRODUCTS:>9.2f}")
    print(
        "\nWork: multiply-accumulates, or values where nothing is multiplied; per 128: instructions for that much work."
    )


def add_models(result: dict[str, Any], target: Target, folder: Path) -> None:
    """Adds the models and prints their table, or says why there are none."""
    mca = find_mca()
    if mca is None:
        print("\nWithout models: there is no llvm-mca on the PATH; on Debian 12 run `apt-get install llvm-19`.")
        return
    kernels = folder / "CMakeFiles" / "keras_bnn_objects.dir" / "kernels" / target.kernels
    disassembly = disassemble(f"{target.triple}-objdump", kernels)
    result["models"] = {"llvm": mca_version(mca), "loops": models(disassembly, mca, target.model_triple, target.models)}
    print(f"\nFor {PRODUCTS} binary multiply-accumulates in the loops that count bits, {result['models']['llvm']}:\n")
    print(f"{'loop':<44}{'instructions':>14}{''.join(f'{cpu:>14}' for cpu in target.models)}")
    for loop in result["models"]["loops"]:
        cells = "".join(f"{count:>14.2f}" for count in (loop["instructions"], *loop["cycles"].values()))
        print(f"{loop['function']:<44}{cells}")


if __name__ == "__main__":
    main()
