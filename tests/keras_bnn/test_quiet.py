"""What is silenced is silent, native code included, and all is as it was when the last thread leaves."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_bnn.quiet import quiet_output


def test_native_code(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_output(2):
        os.write(1, b"kept\n")
        os.write(2, b"lost\n")
    os.write(2, b"behind\n")
    assert capfd.readouterr() == ("kept\n", "behind\n")


def test_python(tmp_path: Path) -> None:
    program = (
        "import sys; from keras_bnn.quiet import quiet_output\n"
        "print('before')\n"
        "with quiet_output(1, 2): print('lost'); print('lost', file=sys.stderr)\n"
        "print('behind')"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("before\nbehind\n", "")


def test_threads_that_leave_in_another_order(capfd: pytest.CaptureFixture[str]) -> None:
    streams = sys.stdout, sys.stderr
    is_inside = threading.Event()

    def first() -> None:
        with quiet_output(1, 2):
            is_inside.set()
            time.sleep(0.1)

    def second() -> None:
        is_inside.wait()
        with quiet_output(1, 2):
            time.sleep(0.2)

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sys.stdout, sys.stderr) == streams
    os.write(1, b"out\n")
    os.write(2, b"err\n")
    assert capfd.readouterr() == ("out\n", "err\n")


def test_a_logger_made_meanwhile_works_on() -> None:
    with quiet_output(1, 2):
        handler = logging.StreamHandler()
    assert not handler.stream.closed
    assert handler.stream is sys.stderr


def test_closed_descriptors(tmp_path: Path) -> None:
    """As in a daemon."""
    program = (
        "import os, sys; from keras_bnn.quiet import quiet_output\n"
        "with quiet_output(1, 2): open('inside', 'w').close()\n"
        "open('closed', 'w').write(f'{sys.stdout} {sys.stderr}')"
    )
    subprocess.run(f"exec '{sys.executable}' -c \"{program}\" >&- 2>&-", shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "closed").read_text() == "None None"
