"""Options of the custom ops, against docs/format.md itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from support.float_graphs import FloatGraph

from keras_bnn.converter import convert
from keras_bnn.converter.custom_ops import OPTIONS, decode_options, encode_options

FORMAT = Path(__file__).resolve().parents[2] / "docs" / "format.md"


def test_keys_are_those_of_the_format() -> None:
    rows = re.findall(r"^\| (Bnn\w+) \|.*\| ([^|]+) \|$", FORMAT.read_text(), re.MULTILINE)
    documented: dict[str, set[str]] = {}
    for kind, text in rows:
        model, *others = text.split(", ")
        if model.startswith("as "):  # "as BnnConv2D, without groups"
            documented[kind] = documented[model.removeprefix("as ")] - {key.removeprefix("without ") for key in others}
        else:
            documented[kind] = {model, *others} - {"version"}
    assert documented == {kind: set(keys) for kind, keys in OPTIONS.items()}


def test_defaults_are_those_of_the_format() -> None:
    section = FORMAT.read_text().partition("### Options")[2].partition("###")[0]
    defaults: dict[str, int | None] = {}
    for names, _, default in re.findall(r"^\| ([\w, ]+) \|(.*)\| *(-?\d*) *\|$", section, re.MULTILINE):
        for name in names.split(", "):
            defaults[name] = int(default) if default else None
    for kind, keys in OPTIONS.items():
        for key, default in keys.items():
            assert defaults[key] == default, f"{kind} {key}"


def test_keys_are_written_in_order_and_defaults_left_out() -> None:
    encoded = encode_options("BnnConv2D", {"channels_in": 3, "padding": 0, "stride_h": 1, "pad_value": -1})
    assert list(flexbuffers.Loads(encoded).items()) == [
        ("channels_in", 3),
        ("pad_value", -1),
        ("padding", 0),
        ("version", 1),
    ]
    decoded = decode_options("BnnConv2D", encoded)
    given = {"channels_in": 3, "padding": 0, "pad_value": -1}
    assert decoded == {key: given.get(key, default) for key, default in OPTIONS["BnnConv2D"].items()}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("BnnConv2D", {"channels_in": 3}, "BnnConv2D needs the option 'padding'."),
        (
            "BnnDequantize",
            {"channels": 3, "colour": 1},
            "BnnDequantize has no option 'colour'; its options are channels.",
        ),
    ],
)
def test_encoding_refuses(kind: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_options(kind, options)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("BnnQuantize", {"version": 2}, "version 1"),
        ("BnnQuantize", {}, "version 1"),
        ("BnnQuantize", {"version": 1, "colour": 1}, "the option 'colour' of BnnQuantize"),
        ("BnnSort", {"version": 1}, "the op BnnSort"),
    ],
)
def test_decoding_refuses_what_it_does_not_know(kind: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        decode_options(kind, flexbuffers.Dumps(options))
    assert "update keras-bnn" in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\x00", b"no flexbuffer at all", None])
def test_decoding_refuses_damaged_bytes(data: bytes | None) -> None:
    with pytest.raises(ValueError, match="BnnQuantize"):
        decode_options("BnnQuantize", data)


def test_options_in_a_file_are_marked_as_a_flexbuffer_map() -> None:
    """So that tools which know nothing of these ops, such as Netron, show them."""
    graph = FloatGraph()
    x = graph.add_input("x", (1, 6, 6, 40))
    y = graph.conv(graph.sign(x), graph.kernel((8, 3, 3, 40)), graph.bias(8))
    record = schema.ModelT.InitFromObj(schema.Model.GetRootAs(convert(graph.finish(y), verify=False).model, 0))
    names = [record.operatorCodes[op.opcodeIndex].customCode for op in record.subgraphs[0].operators]
    assert names == [b"BnnQuantize", b"BnnConv2D"]
    for op in record.subgraphs[0].operators:
        assert op.customOptionsFormat == schema.CustomOptionsFormat.FLEXBUFFERS
        assert flexbuffers.Loads(bytes(op.customOptions))["version"] == 1
