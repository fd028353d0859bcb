"""Keeps what other people's code writes off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_LOCK = threading.RLock()
"""The descriptors are the whole process's: of two threads that put others in their place, the one that leaves last
would bring back what the other had put there."""


@contextlib.contextmanager
def quiet_output(*descriptors: int) -> Iterator[None]:
    """Silences standard output (1), standard error (2) or both, native code included, which writes past `sys.stderr`.

    One thread at a time is in such a block. `sys.stdout` and `sys.stderr` stay what they are: a logger that is made
    meanwhile keeps a stream that lives on. Exceptions pass as usual.

    Args:
        *descriptors: What to silence.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        _flush()
        for descriptor in descriptors:
            stack.enter_context(_to_null(descriptor))
        stack.callback(_flush)
        yield


@contextlib.contextmanager
def _to_null(descriptor: int) -> Iterator[None]:
    try:
        saved = os.dup(descriptor)
    except OSError:  # it is closed, as in a daemon
        yield
        return
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
