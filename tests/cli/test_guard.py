"""A crash of native code becomes a sentence and exit code 1; all else passes through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PROGRAM = """
import os, signal, sys, time
from keras_bnn.cli import guard

def command():
    {command}

# nohup ignores the one, a shell in the background the other, and so would their children.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
guard.run_command = command
sys.argv = ["keras-bnn", "run"]
sys.exit(guard.main())
"""


def _run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", _PROGRAM.format(command=command)]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"])
def test_a_crash(tmp_path: Path, name: str) -> None:
    result = _run(tmp_path, f"os.kill(os.getpid(), signal.{name})")
    assert result.returncode == 1
    assert result.stderr == (
        f"keras-bnn run: native code crashed ({name}), as runtimes do on damaged files: export or download the file "
        "again, and if it still crashes, report it with what `keras-bnn doctor` prints.\n"
    )


def test_a_kill(tmp_path: Path) -> None:
    result = _run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert result.returncode == 1
    assert result.stderr.startswith("keras-bnn run: the process was killed (SIGKILL), as the system does when memory")


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_exit_codes(tmp_path: Path, code: int) -> None:
    result = _run(tmp_path, f"print('out'); print('err', file=sys.stderr); return {code}")
    assert (result.returncode, result.stdout, result.stderr) == (code, "out\n", "err\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """The file that the program opens first does not become the stream."""
    program = "f = open('file', 'w'); print('out'); print('err', file=sys.stderr); f.close(); return 0"
    (tmp_path / "program.py").write_text(_PROGRAM.format(command=program))
    command = f"exec '{sys.executable}' program.py {closed}"
    result = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = "" if ">&-" in closed.split() else "out\n", "" if "2>&-" in closed else "err\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, *expected)
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_is_full(tmp_path: Path, unbuffered: str) -> None:
    command = f"exec '{sys.executable}' -m keras_bnn.cli doctor >/dev/full"
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    result = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == (
        "keras-bnn doctor: standard output cannot be written (no space left on device): make room, or write it to "
        "another place.\n"
    )


def test_wrong_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "keras_bnn.cli", "no-such-command"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "invalid choice: 'no-such-command'" in result.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_end_both_processes(tmp_path: Path, name: str) -> None:
    program = [sys.executable, "-c", _PROGRAM.format(command="print(os.getpid(), flush=True); time.sleep(60)")]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        child = _child(parent)
        parent.send_signal(signal.Signals[name])
        assert parent.wait(30) == -signal.Signals[name]
    _wait_for_the_end(child)


def test_an_interrupt(tmp_path: Path) -> None:
    command = "try: print(os.getpid(), flush=True); time.sleep(60)\n    except KeyboardInterrupt: return 130"
    program = [sys.executable, "-c", _PROGRAM.format(command=command)]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        child = _child(parent)
        parent.send_signal(signal.SIGINT)
        assert parent.communicate(timeout=30) == ("", "")
        assert parent.returncode == 130
    _wait_for_the_end(child)


def test_a_killed_parent_takes_its_child_along(tmp_path: Path) -> None:
    program = [sys.executable, "-c", _PROGRAM.format(command="print(os.getpid(), flush=True); time.sleep(60)")]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        child = _child(parent)
        parent.kill()
    _wait_for_the_end(child)


def _child(parent: subprocess.Popen[str]) -> int:
    assert parent.stdout is not None
    return int(parent.stdout.readline())


def _wait_for_the_end(process: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("the process lives on")
