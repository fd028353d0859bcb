"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

_OPEN_FILES = "/proc/self/fd"
_NEW_FILE = 0o666
"""What a program asks for; the umask takes away what the user does not want."""


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file to write, which takes its place when the block ends, or leaves what was there when it fails.

    A symbolic link stays, and the file that it names is replaced. A replaced file's permissions stay; its other hard
    links keep the old content. What is no regular file, such as a pipe or a device, is written to in the end.

    Args:
        path: The file.

    Raises:
        OSError: when it cannot be written; of the class that says why, such as PermissionError.
    """
    check_writable(path)
    with _naming(path):
        before = os.stat(path) if os.path.exists(path) else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            content = io.BytesIO()
            yield content
            with open(path, "wb") as file:
                file.write(content.getbuffer())
            return
        with _staged(os.path.realpath(path)) as file:
            yield file
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file, or leaves what was there.

    Args:
        path: The file.
        content: What it will hold.

    Raises:
        OSError: when it cannot be written; of the class that says why, such as PermissionError.
    """
    write_all_whole({path: content})


def write_all_whole(contents: dict[str | os.PathLike[str], bytes]) -> None:
    """Writes several files, or leaves what was there: none takes its place before all are written.

    Args:
        contents: What each will hold.

    Raises:
        OSError: when one cannot be written; of the class that says why, such as PermissionError.
    """
    with contextlib.ExitStack() as files:
        for path, content in contents.items():
            file = files.enter_context(whole_file(path))
            with _naming(path):
                file.write(content)
                file.flush()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuses a path that no file can be written to, before there is anything to write.

    Raises:
        FileNotFoundError: when there is no folder to write to, or the path is empty.
        IsADirectoryError: when it is a folder.
        PermissionError: when the file, or the folder for a new one, may not be written.
        OSError: when a name in it is too long.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise FileNotFoundError(f"{text!r} is no path: pass the path of a file.")
    with _naming(path):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # which come below
            os.lstat(path)  # what the functions of os.path swallow, such as a name that is too long
        place, is_there = os.path.realpath(path), os.path.exists(path)
        folder = os.path.dirname(place)
    if not is_there and not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder}: create it, or pass another path.")
    if not is_there and os.path.islink(place):
        raise OSError(f"{os.fspath(path)} is a link that leads to itself: remove it, or pass another path.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{os.fspath(path)} is a folder: pass the path of a file.")
    if is_there and not os.access(path, os.W_OK):
        raise PermissionError(f"{os.fspath(path)} may not be written: change its permissions, or pass another path.")
    if (not is_there or os.path.isfile(path)) and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"The folder {folder} may not be written to: change it, or pass another path.")


def check_apart(path: str | os.PathLike[str], *others: str | os.PathLike[str]) -> None:
    """Refuses to write over a file that is read or written too.

    Args:
        path: The file to write.
        *others: The other files.

    Raises:
        ValueError: when one of them is this file, under whatever name.
    """
    for other in others:
        is_same = os.path.realpath(path) == os.path.realpath(other)
        if is_same or (os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)):
            raise ValueError(
                f"{os.fspath(path)} would overwrite {os.fspath(other)}, which is read or written too: pass "
                "another path."
            )


@contextlib.contextmanager
def _staged(place: str) -> Iterator[BinaryIO]:
    """Opens a file that has no name until the block ends, where the file system can do that."""
    folder = os.path.dirname(place)
    name = os.path.join(folder, f".keras-bnn-{secrets.token_hex(8)}.part")
    descriptor = _open_unnamed(folder)
    is_named = descriptor is None
    if descriptor is None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NEW_FILE)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not is_named:
                # Only with a folder does Python follow the link that /proc has for the file.
                os.link(f"{_OPEN_FILES}/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)
                is_named = True
        os.replace(name, place)
    except BaseException:
        if is_named:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        raise


def _open_unnamed(folder: str) -> int | None:
    """Opens a file that is gone when this process is, or returns None where that or naming it later is not possible."""
    if not os.path.isdir(_OPEN_FILES) or not hasattr(os, "O_TMPFILE"):
        return None
    try:
        return os.open(folder, os.O_WRONLY | os.O_TMPFILE, _NEW_FILE)
    except OSError:  # a file system such as NFS
        return None


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says which file, and what to do, where the system says only what it could not."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        kind = OSError if isinstance(error, BrokenPipeError) else type(error)
        reason = (error.strerror or "").lower()
        raise kind(f"{os.fspath(path)} cannot be written ({reason}), and is as it was: pass another path.") from error
