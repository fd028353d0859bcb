"""Damages packed and float .tflite files and gives each to the delegate and to the commands.

Each damaged file must either do what it did or give one sentence and exit code 1: no crash, no traceback, no hang, no
huge memory, and what lay at the output's path stays as it was. Cases are numbered: `--only 4711` runs one again.

Examples:
  python tests/fuzz/fuzz_files.py --seconds 60
  python tests/fuzz/fuzz_files.py --cases 50000 --keep crashes/
  python tests/fuzz/fuzz_files.py --only 4711 --path delegate      (in this process, for a debugger)
"""

# ruff: noqa: E402  the folders of tests come onto the path first
from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads do not live on in a forked copy

import argparse
import contextlib
import functools
import io
import json
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:] = [str(_TESTS), *(entry for entry in sys.path if Path(entry or ".").resolve() != _TESTS.parent)]

import numpy as np
from support.fork_server import Ending, Limits, run_cases
from support.mutations import DamageableFile
from support.seed_files import seed_files

from keras_bnn import cli
from keras_bnn.cli import benchmark, convert, inspect, main, run  # noqa: F401  once, before the forks
from keras_bnn.runtime import library, load_delegate, stock, stock_runtime

cli._parser = functools.cache(cli._parser)  # takes as long as reading a small file

_BEFORE = b"what was there before"
_WORKED, _REFUSED = 0, 1
_SENTENCE = re.compile(r"keras-bnn \w+: .*[\w).'\"\]]\.?\n", re.DOTALL)


@functools.cache
def _seeds() -> list[tuple[DamageableFile, np.ndarray]]:
    return [(DamageableFile(seed.content), seed.x) for seed in seed_files()]


@functools.lru_cache(1)  # all paths take one file before the next
def damaged_file(number: int) -> tuple[bytes, np.ndarray]:
    """Returns a damaged file and a batch for the whole one."""
    random, seeds = Random(number), _seeds()
    file, x = seeds[number % len(seeds)]
    return file.damaged(random, random.choice(seeds)[0].content), x


# ------------------------------------------------------------------------------------------------------------ paths


def _delegate(content: bytes, x: np.ndarray, folder: Path) -> str:
    """The runtime with the delegate, as users drive it themselves."""
    return _interpret(content, x, [load_delegate()])


def _interpret(content: bytes, x: np.ndarray, delegates: list) -> str:
    try:
        interpreter = stock_runtime().Interpreter(
            model_content=content, experimental_delegates=delegates, num_threads=1
        )
        interpreter.allocate_tensors()
        for shape in (None, x.shape):
            details = interpreter.get_input_details()
            if shape is not None and len(details) == 1:
                interpreter.resize_tensor_input(details[0]["index"], shape)
                interpreter.allocate_tensors()
            interpreter.invoke()
            for detail in interpreter.get_output_details():
                interpreter.get_tensor(detail["index"])
    except (RuntimeError, ValueError) as error:
        # On some Pythons a runtime's message that is no text comes as none.
        return f"refused: {type(error).__name__}: {''.join(str(error).splitlines()[:1])}"
    return "ran"


def _command(name: str, *options: str, output: str | None) -> Callable[[bytes, np.ndarray, Path], str]:
    def run_command(content: bytes, x: np.ndarray, folder: Path) -> str:
        file, target = folder / "file.tflite", folder / (output or "none.tflite")
        file.write_bytes(content)
        target.write_bytes(_BEFORE)
        np.save(folder / "x.npy", x)
        arguments = [name, str(file), *(option.format(folder=folder, output=target) for option in options)]
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = main(arguments)
        return _judge(code, stdout.getvalue(), stderr.getvalue(), target, content, file)

    return run_command


def _judge(code: int, stdout: str, stderr: str, target: Path, content: bytes, file: Path) -> str:
    litter = {path.name for path in file.parent.iterdir()} - {file.name, target.name, "x.npy"}
    assert not litter, f"litter: {litter}"
    assert file.read_bytes() == content, "the file is overwritten"
    if code == _WORKED:
        assert target.name == "none.tflite" or target.read_bytes() != _BEFORE, "nothing is written"
        assert not stderr, stderr
        assert stdout.replace("\n", "").isprintable(), "what a terminal obeys"
        return "ran"
    assert code == _REFUSED, f"exit code {code}"
    assert target.read_bytes() == _BEFORE, "the output is overwritten"
    assert _SENTENCE.fullmatch(stderr), f"no sentence: {stderr!r}"
    assert stderr.rstrip("\n").isprintable(), f"several lines, or what a terminal obeys: {stderr!r}"
    assert len(stderr) < 1500, f"long: {stderr!r}"
    return "refused: " + stderr.strip()


PATHS: dict[str, Callable[[bytes, np.ndarray, Path], str]] = {
    "delegate": _delegate,
    "run": _command("run", "--input", "{folder}/x.npy", "--output", "{output}", output="y.npy"),
    "inspect": _command("inspect", "--html", "{output}", output="page.html"),
    "convert": _command("convert", "{output}", output="packed.tflite"),
    "benchmark": _command("benchmark", "--seconds", "0.001", output=None),
}
_EVERY = {"benchmark": 8}
"""Of how many files one takes this path; 1 where nothing is said."""

_MOST_MEMORY = 2**30
_most_memory = 0


def run_case(case: tuple[int, str]) -> str:
    """Gives a damaged file to a path, and returns what came of it."""
    number, path = case
    content, x = damaged_file(number)
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        outcome = PATHS[path](content, x, Path(folder))
    _check_memory()
    return outcome


def _check_memory() -> None:
    """Fails when this process has used much more memory at once since the last call."""
    global _most_memory
    before, _most_memory = _most_memory, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    grown = _most_memory - before
    assert grown < _MOST_MEMORY, f"{grown:,} bytes of memory"


def _scratch() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# ------------------------------------------------------------------------------------------------------------- main


def fuzz(args: argparse.Namespace) -> int:
    """Runs the cases and prints what came of them; returns the number of findings."""
    paths = [args.path] if args.path else list(PATHS)
    _seeds()
    end = time.monotonic() + args.seconds
    counts: Counter[tuple[str, str]] = Counter()
    sentences: Counter[str] = Counter()
    findings = 0
    number = args.first
    if args.library is not None:
        _use_library(args.library)
    limits = Limits(memory=None if args.no_memory_limit else Limits().memory)
    with _quiet_native_code():
        while number < args.first + args.cases and time.monotonic() < end:
            numbers = range(number, min(number + 50, args.first + args.cases))
            cases = [(one, path) for one in numbers for path in paths if one % _EVERY.get(path, 1) == 0]
            for ending in run_cases(cases, run_case, limits):
                path = ending.case[1]
                if ending.death and (_is_in_the_runtime(ending) or _needs_much_memory(ending, limits)):
                    counts[path, "the runtime's fault"] += 1
                    _keep(ending, args.keep)
                elif ending.death:
                    findings += 1
                    counts[path, "FOUND"] += 1
                    _report(ending, args.keep)
                else:
                    outcome, _, sentence = ending.result.partition(": ")
                    counts[path, outcome] += 1
                    sentences[f"{path}: {_general(sentence)}"] += 1
            number = numbers[-1] + 1
    print(f"{number - args.first} files from number {args.first}")
    for (path, outcome), count in sorted(counts.items()):
        print(f"  {path:<10} {outcome:<20} {count:>7}")
    if args.sentences:
        Path(args.sentences).write_text("".join(f"{count:6} {text}\n" for text, count in sentences.most_common()))
    return findings


def _use_library(path: str) -> None:
    """Makes the runtimes load another build of the delegate."""
    library.delegate_path = stock.delegate_path = lambda: path


def _general(sentence: str) -> str:
    """A sentence without what differs from file to file."""
    text = re.sub(r"-?\d[\d.e+]*", "N", re.sub(r"/dev/shm/\w+|/tmp/\w+", "", sentence))
    return text[:300].encode("unicode_escape").decode()


def _is_in_the_runtime(ending: Ending) -> bool:
    """Whether the runtime's own code died: it knows what the file means no more than whether it is whole."""
    return "ai_edge_litert" in ending.frames and "libkeras_bnn" not in ending.frames


def _needs_much_memory(ending: Ending, limits: Limits) -> bool:
    """Whether the file's inputs are that large, or the runtime alone takes as much for them."""
    if "bytes of memory" not in ending.death and "MemoryError" not in ending.death:
        return False
    (alone,) = run_cases([ending.case], _memory_without_us, limits)
    return alone.death != ""


def _memory_without_us(case: tuple[int, str]) -> None:
    content, x = damaged_file(case[0])
    inputs = stock_runtime().Interpreter(model_content=content).get_input_details()
    size = sum(int(np.prod(each["shape"], dtype=object)) * np.dtype(each["dtype"]).itemsize for each in inputs)
    assert size < _MOST_MEMORY / 8, f"{size:,} bytes of memory for the inputs"
    _interpret(content, x, [])
    _check_memory()


def _report(ending: Ending, keep: str | None) -> None:
    number, path = ending.case
    last = ending.death.strip().splitlines()[-1]
    print(f"FOUND number {number}, path {path}: {last[:600]}", flush=True)
    _keep(ending, keep)


def _keep(ending: Ending, keep: str | None) -> None:
    if keep is None:
        return
    number, path = ending.case
    folder = Path(keep)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.tflite").write_bytes(damaged_file(number)[0])
    with (folder / "deaths.jsonl").open("a") as file:
        file.write(json.dumps({"number": number, "path": path, "death": ending.death, "frames": ending.frames}) + "\n")


@contextlib.contextmanager
def _quiet_native_code():
    """The runtime writes a line for each file that it refuses."""
    saved = os.dup(2)
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10**9, help="number of files (default: as many as there is time)")
    parser.add_argument("--seconds", type=float, default=10**9, help="stop after this time")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run this file alone, in this process")
    parser.add_argument("--path", choices=PATHS, help="run this path alone")
    parser.add_argument("--keep", metavar="DIR", help="keep the files that were found here")
    parser.add_argument("--sentences", metavar="FILE", help="write all sentences with their counts")
    parser.add_argument("--library", metavar="FILE", help="another libkeras_bnn.so, such as one with sanitizers")
    parser.add_argument("--no-memory-limit", action="store_true", help="for libraries built with sanitizers")
    return parser.parse_args()


def _main() -> int:
    args = _parse()
    if args.only is None:
        return 1 if fuzz(args) else 0
    for path in [args.path] if args.path else PATHS:
        print(f"{path}: {run_case((args.only, path))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
