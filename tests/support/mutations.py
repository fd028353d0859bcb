"""Damages .tflite files: bytes, and single fields of the flatbuffer. The random numbers decide everything."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

_EDGES = (
    *(0, 1, 2, 3, 4, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 46341),
    *(2**24, 2**30, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1),
    *(-1, -2, -3, -127, -128, -32768, -(2**31), -(2**31) + 1, -(2**63)),
)
_FLOAT_EDGES = (0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, -3.4e38, float("inf"), float("-inf"), float("nan"))
_MOST_FIELDS = 4


class DamageableFile:
    """A whole file, read once, from which damaged ones are made."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._pickled = pickle.dumps(schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)))

    def damaged(self, random: Random, other: bytes) -> bytes:
        """Returns one damaged file.

        Args:
            random: Chooses the damage.
            other: Another file, from which pieces may come.
        """
        if random.random() < 0.6:
            return self._with_other_fields(random)
        data = bytearray(self.content)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            random.choice(_BYTE_DAMAGES)(random, data, other)
        return bytes(data)

    def _with_other_fields(self, random: Random) -> bytes:
        """Changes some fields and writes the flatbuffer anew: its structure is whole, its meaning is not."""
        for _ in range(20):
            record = pickle.loads(self._pickled)  # faster than a deep copy
            for _ in range(random.randint(1, _MOST_FIELDS)):
                _change(random, random.choice(list(_fields(record))))
            builder = flatbuffers.Builder(4096)
            try:
                builder.Finish(record.Pack(builder), b"TFL3")
            except Exception:  # numbers that the field's type does not hold
                continue
            return bytes(builder.Output())
        return self.content


# ------------------------------------------------------------------------------------------------------------ bytes


def _flip_bits(random: Random, data: bytearray, other: bytes) -> None:
    for _ in range(random.choice((1, 1, 2, 8))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _fill_run(random: Random, data: bytearray, other: bytes) -> None:
    start, length = random.randrange(len(data)), random.choice((1, 4, 16, 64, 300))
    value = random.choice((b"\0", b"\xff", b"\x80", b"\x7f", random.randbytes(1)))
    data[start : start + length] = value * len(data[start : start + length])


def _put_integer(random: Random, data: bytearray, other: bytes) -> None:
    width, code = random.choice(((1, "B"), (2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    place = random.randrange(max((len(data) - width) // width, 1)) * width
    if place + width <= len(data):
        struct.pack_into(f"<{code}", data, place, random.choice(_EDGES) % 2 ** (8 * width))


def _add_to_integer(random: Random, data: bytearray, other: bytes) -> None:
    place = random.randrange(max(len(data) // 4 - 1, 1)) * 4
    if place + 4 <= len(data):
        (value,) = struct.unpack_from("<I", data, place)
        struct.pack_into("<I", data, place, (value + random.choice((-64, -8, -4, -1, 1, 4, 8, 64))) % 2**32)


def _cut(random: Random, data: bytearray, other: bytes) -> None:
    del data[random.randrange(len(data)) :]
    data.extend(b"\0" * max(8 - len(data), 0))


def _splice(random: Random, data: bytearray, other: bytes) -> None:
    start, length, to = random.randrange(len(other)), random.choice((4, 16, 64, 1000)), random.randrange(len(data))
    piece = other[start : start + length]
    data[to : to + (len(piece) if random.random() < 0.7 else 0)] = piece


def _move(random: Random, data: bytearray, other: bytes) -> None:
    _splice(random, data, bytes(data))


_BYTE_DAMAGES: tuple[Callable[[Random, bytearray, bytes], None], ...] = (
    *(_flip_bits, _fill_run, _put_integer, _put_integer, _add_to_integer, _cut, _splice, _move),
)


# ----------------------------------------------------------------------------------------------------------- fields


class _Field(NamedTuple):
    owner: Any
    name: str


def _fields(record: Any) -> Iterator[_Field]:
    """All fields of a table and of the tables in it; those of constants' bytes as one."""
    for name, value in vars(record).items():
        yield _Field(record, name)
        if hasattr(value, "__dict__"):
            yield from _fields(value)
        elif isinstance(value, list) and value and hasattr(value[0], "__dict__"):
            for item in value:
                yield from _fields(item)


def _change(random: Random, field: _Field) -> None:
    value = getattr(field.owner, field.name)
    setattr(field.owner, field.name, _changed(random, field, value))


def _changed(random: Random, field: _Field, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((random.choice(_EDGES), value + random.choice((-1, 1, 2)), random.randrange(160)))
    if isinstance(value, float):
        return random.choice(_FLOAT_EDGES)
    if isinstance(value, bytes):
        return random.choice((None, b"", b"\xff\xfe", value * 40, value[:-1], value + b"\n"))
    if field.name == "customOptions" and value is not None:
        return _changed_options(random, bytes(value))
    if isinstance(value, np.ndarray):
        return _changed_numbers(random, value)
    if isinstance(value, list):
        return _changed_list(random, value)
    if value is None:
        return _new_value(random, field)
    return None if random.random() < 0.5 else value  # a table; its own fields are listed too


def _changed_numbers(random: Random, value: np.ndarray) -> np.ndarray | None:
    """Other numbers, more of them, fewer, none."""
    what = random.randrange(6)
    if what == 0 or not len(value):
        return random.choice((None, value[:0]))
    if what == 1:
        return value[: random.randrange(len(value))]
    if what == 2:
        return np.append(value, np.repeat(value, random.choice((1, 1, 4)))).astype(value.dtype)
    changed = value.copy()
    place = random.randrange(len(value))
    if value.dtype.kind == "f":
        changed[place] = random.choice(_FLOAT_EDGES)
    else:
        edge = random.choice(_EDGES) if random.random() < 0.5 else random.randrange(40)
        changed[place] = np.array(edge % 2**64, np.uint64).astype(value.dtype)
    return changed


def _changed_list(random: Random, value: list[Any]) -> list[Any] | None:
    if not value:
        return None
    changed = list(value)
    place = random.randrange(len(value))
    what = random.randrange(5)
    if what == 0:
        del changed[place]
    elif what == 1:
        changed.insert(random.randrange(len(value) + 1), changed[place])
    elif what == 2:
        other = random.randrange(len(value))
        changed[place], changed[other] = changed[other], changed[place]
    elif what == 3 and isinstance(value[0], int):
        changed[place] = random.choice(_EDGES)
    elif what == 4:
        return random.choice((None, [], changed[:place]))
    return changed


def _new_value(random: Random, field: _Field) -> Any:
    """Something for a field that the file does not have."""
    name = field.name
    if name in ("inputs", "outputs", "intermediates", "shapeSignature", "scale", "zeroPoint", "min", "max"):
        return [random.choice((-1, 0, 1, 2, 5, 100)) for _ in range(random.randint(1, 4))]
    if name == "quantization":
        record = schema.QuantizationParametersT()
        record.scale, record.zeroPoint = [random.choice(_FLOAT_EDGES)], [random.choice(_EDGES)]
        return record
    if name == "sparsity":
        record = schema.SparsityParametersT()
        record.traversalOrder = [0, 1]
        return record
    return None


def _changed_options(random: Random, data: bytes) -> np.ndarray:
    """The options of a custom op: other values, keys and bytes."""
    try:
        options: Any = flexbuffers.Loads(data) if random.random() < 0.75 else None
    except Exception:
        options = None
    if not isinstance(options, dict) or not options:
        changed = bytearray(data or b"\0")
        for _ in range(random.choice((1, 1, 3))):
            random.choice(_BYTE_DAMAGES)(random, changed, data or b"\0\0\0\0")
        return np.frombuffer(bytes(changed), np.uint8)
    key = random.choice(list(options))
    what = random.randrange(8)
    if what == 0:
        del options[key]
    elif what == 1:
        options[random.choice(("steps", "groups", "pad_top", "activation", "colour", ""))] = random.choice(_EDGES[:-4])
    elif what == 2:
        options[key] = random.choice((1.5, "text", None, True, [1, 2], {"a": 1}, float("nan"), b"blob"))
    else:
        options[key] = random.choice(_EDGES) if random.random() < 0.5 else random.randrange(70)
    try:
        return np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
    except Exception:  # an integer beyond 64 bits
        return np.frombuffer(data, np.uint8)
