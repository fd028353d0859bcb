"""Files are there whole or not at all, whatever stops the writing and whatever the path is."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from keras_bnn.whole_file import check_apart, check_writable, whole_file, write_all_whole, write_whole

_NOBODY = 65534


def test_write_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    for content in (b"first", b"\x00second", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


# ----------------------------------------------------------------------------------------------------- what stops it


def test_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"file\.bin cannot be written \(no space left on device\), and is as it was: "):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_writer_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"after")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("unnamed", [True, False])
def test_too_large_a_file_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool) -> None:
    if not unnamed:
        _without_unnamed_files(monkeypatch)
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"file\.bin cannot be written \(file too large\)"):
            write_whole(path, bytes(100_001))
        write_whole(tmp_path / "fits.bin", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"before"
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "fits.bin"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"this user mounts no file systems: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    first, second = small_disk / "first.bin", small_disk / "second.bin"
    write_whole(first, b"before")
    with pytest.raises(OSError, match=r"first\.bin cannot be written \(no space left on device\)"):
        write_whole(first, bytes(2**21))
    with pytest.raises(OSError, match=r"second\.bin cannot be written \(no space left on device\)"):
        write_all_whole({first: b"after", second: bytes(2**21)})
    assert first.read_bytes() == b"before"
    assert list(small_disk.iterdir()) == [first]
    write_whole(first, bytes(2**19))


def test_several_files_are_written_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "first.bin", tmp_path / "second.bin"
    first.write_bytes(b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"second\.bin cannot be written"):
            write_all_whole({first: b"after", second: bytes(100_001)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert first.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [first]
    write_all_whole({first: b"after", second: b"too"})
    assert (first.read_bytes(), second.read_bytes()) == (b"after", b"too")


_SLOW_WRITER = """
import sys, time
from keras_bnn.whole_file import whole_file

def reach(point):
    print(point, flush=True)
    if point == int(sys.argv[2]):
        time.sleep(60)

with whole_file(sys.argv[1]) as file:
    reach(0)
    file.write(b"after" * 1000)
    reach(1)
    file.flush()
    reach(2)
"""


@pytest.mark.parametrize("point", range(3))
def test_a_killed_writer_leaves_what_was_there(tmp_path: Path, point: int) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")
    command = [sys.executable, "-c", _SLOW_WRITER, str(path), str(point)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while writer.stdout.readline().strip() != str(point):
            assert writer.poll() is None
        writer.kill()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


_CONTENTS = [bytes([number]) * (2_000_000 + number) for number in range(4)]


def _write_for_ever(path: Path, number: int) -> None:
    while True:
        write_whole(path, _CONTENTS[number])


def test_writers_killed_at_any_time_leave_a_whole_file(tmp_path: Path) -> None:
    """Two at a time write the same file. One that dies between giving its file a name and a place leaves the name."""
    path = tmp_path / "file.bin"
    context = get_context("fork")
    for turn in range(6):
        writers = [context.Process(target=_write_for_ever, args=(path, (turn + one) % 4)) for one in range(2)]
        for writer in writers:
            writer.start()
        time.sleep(0.05 + 0.013 * turn)
        for writer in writers:
            writer.kill()
            writer.join()
        if path.exists():
            assert path.read_bytes() in _CONTENTS
    assert {other.suffix for other in tmp_path.iterdir() if other != path} <= {".part"}
    assert len(list(tmp_path.iterdir())) <= 3


def test_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    same = tmp_path / "same.bin"
    own = [tmp_path / f"own{number}.bin" for number in range(4)]
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        for _ in range(5):
            list(pool.map(write_whole, [same] * 4 + own, _CONTENTS * 2))
            assert same.read_bytes() in _CONTENTS
    assert [path.read_bytes() for path in own] == _CONTENTS
    assert sorted(tmp_path.iterdir()) == sorted([same, *own])


# -------------------------------------------------------------------------------------------------------- what it is


def _as_nobody(action: Callable[[Path], None]) -> str:
    """What an action in a folder that its user owns raises, for a user without root's rights."""
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "file.bin").write_bytes(b"before")
        if os.getuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
            os.chown(folder / "file.bin", _NOBODY, _NOBODY)
        child = os.fork()
        if child == 0:
            try:
                if os.getuid() == 0:
                    os.setgid(_NOBODY)
                    os.setuid(_NOBODY)
                action(folder)
            except BaseException as error:
                os.write(writer, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        folder.chmod(0o700)
        assert (folder / "file.bin").read_bytes() == b"before"
        assert len(list(folder.iterdir())) == 1
    with os.fdopen(reader) as file:
        return file.read()


@pytest.mark.parametrize("name", ["file.bin", "new.bin"])
def test_a_read_only_folder(name: str) -> None:
    def write(folder: Path) -> None:
        folder.chmod(0o500)
        write_whole(folder / name, b"after")

    assert "may not be written to: change it, or pass another path." in _as_nobody(write)


def test_a_read_only_file() -> None:
    """Replacing it would take no more than a folder's permission, and is not what its owner wants."""

    def write(folder: Path) -> None:
        (folder / "file.bin").chmod(0o400)
        write_whole(folder / "file.bin", b"after")

    text = _as_nobody(write)
    assert text.startswith("PermissionError: ")
    assert text.endswith("file.bin may not be written: change its permissions, or pass another path.")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: create it, or pass another path\.$"):
        write_whole(tmp_path / "nowhere" / "file.bin", b"")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=r"no folder .*file: create it, or pass another path\.$"):
        write_whole(tmp_path / "file" / "file.bin", b"")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder: pass the path of a file\.$"):
        write_whole(tmp_path, b"")


def test_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    before = os.umask(0o027)
    try:
        write_whole(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write_whole(path, b"replaced")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_a_symbolic_link_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file.bin", tmp_path / "link.bin"
    link.symlink_to(Path("elsewhere", "file.bin"))
    for content in (b"the link leads nowhere yet", b"and now to a file"):
        write_whole(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
        assert list(target.parent.iterdir()) == [target]


def test_a_link_to_itself(tmp_path: Path) -> None:
    link = tmp_path / "link.bin"
    link.symlink_to("link.bin")
    with pytest.raises(OSError, match=r"link\.bin is a link that leads to itself: remove it, or pass another path\.$"):
        write_whole(link, b"")
    assert link.is_symlink()


def test_other_hard_links_keep_the_old_content(tmp_path: Path) -> None:
    path, other = tmp_path / "file.bin", tmp_path / "other.bin"
    path.write_bytes(b"before")
    other.hardlink_to(path)
    write_whole(path, b"after")
    assert (path.read_bytes(), other.read_bytes()) == (b"after", b"before")


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"through" * 100_000)
    reader.join()
    assert found == [b"through" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_devices_are_written_to(tmp_path: Path) -> None:
    write_whole("/dev/null", b"nowhere")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    program = "from keras_bnn.whole_file import write_whole; write_whole('/dev/stdout', b'out')"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout == b"out"
    with pytest.raises(OSError, match=r"/dev/full cannot be written \(no space left on device\)"):
        write_whole("/dev/full", b"more")


@pytest.mark.parametrize(
    "name",
    [b"a name", b"two\nlines", b"\xff\xfe", b"-x", b"\xc3\xa4" * 127, b"x" * 255, b"*?[a]", b"'\"\\", b" "],
    ids=repr,
)
@pytest.mark.parametrize("unnamed", [True, False])
def test_odd_names(tmp_path: Path, name: bytes, unnamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not unnamed:
        _without_unnamed_files(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for content in (b"first", b"second"):
        write_whole(os.fsdecode(name), content)
        assert (tmp_path / os.fsdecode(name)).read_bytes() == content
    assert os.listdir(os.fsencode(tmp_path)) == [name]


def test_too_long_a_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"x cannot be written \(file name too long\)"):
        write_whole(tmp_path / ("x" * 256), b"")


def test_the_same_file_under_other_names(tmp_path: Path) -> None:
    path, link, hard = tmp_path / "file.bin", tmp_path / "link.bin", tmp_path / "hard.bin"
    check_apart(path, link)  # neither is there
    path.touch()
    link.symlink_to(path)
    hard.hardlink_to(path)
    for other in (path, link, hard, tmp_path / "." / "file.bin"):
        with pytest.raises(ValueError, match=r"which is read or written too: pass another path\.$"):
            check_apart(path, tmp_path, other)
    check_apart(path, tmp_path, tmp_path / "new.bin")


def test_what_may_be_written_is_told_before(tmp_path: Path) -> None:
    check_writable(tmp_path / "file.bin")
    check_writable("/dev/stdout")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)


def test_without_unnamed_files_a_killed_writer_leaves_a_clear_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_unnamed_files(monkeypatch)
    path = tmp_path / "file.bin"
    child = os.fork()
    if child == 0:
        with whole_file(path) as file:
            file.write(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    assert left.match(".keras-bnn-*.part")
    write_whole(path, b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([left, path])


def _without_unnamed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has none."""
    monkeypatch.setattr("keras_bnn.whole_file._open_unnamed", lambda folder: None)
