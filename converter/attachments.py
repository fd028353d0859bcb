"""The files behind a model: TFLite's metadata keeps labels and the like in an archive at the end of the file."""

from __future__ import annotations

import copy
import io
import zipfile

Attachment = tuple[zipfile.ZipInfo, bytes]
"""An archive's entry, and its content."""


def read_attachments(data: bytes) -> list[Attachment]:
    """Reads the archive at the end of a .tflite file; without one there are no attachments.

    Args:
        data: The file's bytes.

    Raises:
        ValueError: when an entry of the archive is damaged.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception:  # the usual file; and on bytes that look a little like an archive zipfile may raise anything
        return []
    try:
        return [(entry, archive.read(entry)) for entry in archive.infolist()]
    except Exception as error:  # here too
        raise ValueError(
            f"The files behind the model, such as its labels, are damaged ({error}): export or download it again."
        ) from error


def append_attachments(model: bytes, attachments: list[Attachment]) -> bytes:
    """Returns a .tflite file with an archive behind it, whose offsets count from the start of the file."""
    if not attachments:
        return model
    file = io.BytesIO()
    file.write(model)
    with zipfile.ZipFile(file, "w") as archive:
        for entry, content in attachments:
            archive.writestr(copy.copy(entry), content)  # a copy, as writing changes it
    return file.getvalue()
