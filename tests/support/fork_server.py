"""Runs many cases in forked copies of this process, each under limits of memory and time, and says how each ended."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

_CASES_PER_FORK = 25


class Limits(NamedTuple):
    """What one case may use.

    Attributes:
        memory: Bytes of address space beyond those at the start; None for no limit.
        cpu: Seconds of processor time.
        wall: Seconds, on a machine that others use too.
    """

    memory: int | None = 3 * 2**30
    cpu: int = 20
    wall: int = 300


class Ending(NamedTuple):
    """How a case ended.

    Attributes:
        case: The case.
        result: What it returned, or None when it did not return.
        death: "" or what became of it: a signal's name, "hang", or a traceback.
        frames: Where native code was at its death, a line for each function, as far as it can be told.
    """

    case: Any
    result: Any
    death: str
    frames: str = ""


def run_cases(cases: Sequence[Any], run: Callable[[Any], Any], limits: Limits) -> Iterator[Ending]:
    """Runs the cases, several in one copy as long as none of them kills it.

    Args:
        cases: What `run` takes.
        run: Runs a case and returns what JSON can hold.
        limits: What one case may use.
    """
    start = 0
    while start < len(cases):
        batch = cases[start : start + _CASES_PER_FORK]
        endings = list(_run_in_copy(batch, run, limits))
        yield from endings
        start += len(endings)


def _run_in_copy(batch: Sequence[Any], run: Callable[[Any], Any], limits: Limits) -> Iterator[Ending]:
    """Runs cases in one copy up to the first that kills it."""
    reader, writer = os.pipe()
    frames = os.memfd_create("frames")
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _write_frames_at_death(frames)
        _be_child(batch, run, limits, writer)
    os.close(writer)
    done, is_late = 0, False
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        for line in _lines(pipe, limits.wall):
            if line is None:
                is_late = True
                os.kill(child, signal.SIGKILL)
                break
            yield Ending(batch[done], *json.loads(line))
            done += 1
    _, status = os.waitpid(child, 0)
    with os.fdopen(frames, "rb") as file:
        file.seek(0)
        where = file.read().decode(errors="replace")
    if done < len(batch):
        yield Ending(batch[done], None, "hang" if is_late else _death(status), where)


def _be_child(batch: Sequence[Any], run: Callable[[Any], Any], limits: Limits, writer: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limits.memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + limits.memory,) * 2)
        for case in batch:
            used = resource.getrusage(resource.RUSAGE_SELF)
            seconds = int(used.ru_utime + used.ru_stime) + 1 + limits.cpu
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
            try:
                answer = [run(case), ""]
            except BaseException:
                answer = [None, traceback.format_exc()]
            os.write(writer, json.dumps(answer).encode() + b"\n")
    finally:
        os._exit(0)


_FATAL = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU)
_MOST_FRAMES = 60
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)
_handlers = []  # as long as signals may come


def _write_frames_at_death(descriptor: int) -> None:
    """Lets a fatal signal write the native stack first. Good enough for a fuzzer: such a handler may hang."""
    libc = ctypes.CDLL(None)
    addresses = (ctypes.c_void_p * _MOST_FRAMES)()
    libc.backtrace(addresses, 1)  # loads what unwinds, outside any signal

    def write(number: int) -> None:
        libc.signal(number, None)
        libc.backtrace_symbols_fd(addresses, libc.backtrace(addresses, _MOST_FRAMES), descriptor)
        os.kill(os.getpid(), number)

    handler = _Handler(write)
    _handlers.append(handler)
    for number in _FATAL:
        libc.signal(int(number), handler)


def _lines(pipe: Any, wall: int) -> Iterator[bytes | None]:
    """Whole lines as they come, and None when there is none for too long."""
    rest = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], wall)
        if not ready:
            yield None
            return
        piece = pipe.read(65536)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _death(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number == signal.SIGXCPU else signal.Signals(number).name
    return f"exit {os.WEXITSTATUS(status)}"
