"""The program `keras-bnn`: runs `main` in a process of its own, so that a crash of native code becomes a sentence too.

The runtimes run what a file says, and not all of them check that it is whole. A damaged file may crash them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from keras_bnn.cli import main as run_command

_FAILURE = 1
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP")
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGKILL")
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def main() -> int:
    """Runs the program and returns its exit code."""
    _open_closed_streams()
    if not hasattr(os, "fork"):  # Windows
        return run_command()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    awaited = {signal.SIGCHLD, *(signal.Signals[name] for name in _PASSED_ON)}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
        _die_with_the_parent()
        code = run_command()
        # A terminal sends it to both processes, and the parent passes it on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return code
    while (number := signal.sigwait(awaited)) != signal.SIGCHLD or not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if number != signal.SIGCHLD:
            os.kill(child, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
    status = ended[1]
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    death = signal.Signals(os.WTERMSIG(status))
    if death.name not in _CRASHES:
        signal.signal(death, signal.SIG_DFL)  # whoever waits for this process sees what ended it
        os.kill(os.getpid(), death)
    print(f"keras-bnn {sys.argv[1] if len(sys.argv) > 1 else ''}: {_sentence(death)}", file=sys.stderr)
    return _FAILURE


def _open_closed_streams() -> None:
    """Gives the standard streams that were closed, as by `>&-`, to nobody: else the next file would become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the first free descriptor, which is this one
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))


def _sentence(number: signal.Signals) -> str:
    if number.name == "SIGKILL":
        return (
            "the process was killed (SIGKILL), as the system does when memory runs out: free some memory, or pass a "
            "smaller file or batch."
        )
    return (
        f"native code crashed ({number.name}), as runtimes do on damaged files: export or download the file again, "
        "and if it still crashes, report it with what `keras-bnn doctor` prints."
    )


def _die_with_the_parent() -> None:
    """Lets the system end this process when its parent is killed, which cannot pass that on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
