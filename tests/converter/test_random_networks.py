"""Random networks: the packed file computes what the float file does, bit for bit, and what the format says it does."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from support import packed_expression
from support.float_graphs import random_input, rewrite, run_file
from support.random_network import RandomNetwork

from keras_bnn import runtime
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.graph import Graph
from keras_bnn.converter.patterns import binary_kernel, is_signed

_RANDOMS = st.integers(0, 2**32).map(Random)  # st.randoms draws small and equal numbers most of the time
_FEW, _MANY = (
    settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    for count in (50, 500)
)


@contextmanager
def _kept_on_failure(**files: bytes | np.ndarray) -> Iterator[None]:
    """Writes the files into a folder when the test fails inside, and prints the folder's path."""
    try:
        yield
    except BaseException:
        digest = hashlib.sha256(b"".join(bytes(content) for content in files.values())).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / "keras_bnn_failing_networks" / digest
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if isinstance(content, bytes):
                (folder / f"{name}.tflite").write_bytes(content)
            else:
                np.save(folder / f"{name}.npy", content)
        note(f"The network and its input are in {folder}.")
        raise


def _check(random: Random, *, exact: bool) -> None:
    network = RandomNetwork(random, exact=exact)
    source = network.build()
    x = random_input(network.x.dims, random.randrange(2**16))
    with _kept_on_failure(reference=source, x=x):
        expected = run_file(source if exact else exact_reference(source), [x])
        packed, graph = rewrite(source)
        _assert_equal(packed_expression.evaluate(packed, [x]), expected)
        _assert_equal(run_file(packed, [x], [runtime.load_delegate()]), expected)
        _assert_is_packed(graph)


def _assert_equal(outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    for output, want in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, want)


def _assert_is_packed(graph: Graph) -> None:
    for op in graph.ops:  # a first layer alone may have a kernel that does not tell that it is binary
        if op.kind in ("CONV_2D", "FULLY_CONNECTED"):
            assert binary_kernel(op) is None or not is_signed(op.input(0)), op


class TestWithoutRounding:
    """All numbers have few bits: the float file itself is exact, in any order of its sums."""

    @_FEW
    @given(_RANDOMS)
    def test_networks(self, random: Random) -> None:
        _check(random, exact=True)

    @pytest.mark.slow
    @_MANY
    @given(_RANDOMS)
    def test_many_networks(self, random: Random) -> None:
        _check(random, exact=True)


class TestWithRounding:
    """Scales and biases are any real numbers: +-1 is summed exactly, and each float operation rounds as in the file."""

    @_FEW
    @given(_RANDOMS)
    def test_networks(self, random: Random) -> None:
        _check(random, exact=False)

    @pytest.mark.slow
    @_MANY
    @given(_RANDOMS)
    def test_many_networks(self, random: Random) -> None:
        _check(random, exact=False)


def test_the_files_of_a_failing_network_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    source = RandomNetwork(Random(0), exact=True).build()
    x = np.arange(3, dtype=np.float32)

    @settings(max_examples=1, database=None)
    @given(st.none())
    def fails(_: None) -> None:
        with _kept_on_failure(reference=source, x=x):
            raise AssertionError("different outputs")

    with pytest.raises(AssertionError, match="different outputs") as caught:
        fails()
    printed = "\n".join(getattr(caught.value, "__notes__", ())) + capsys.readouterr().out
    folder = Path(printed.split("are in ")[1].split()[0].rstrip("."))
    assert (folder / "reference.tflite").read_bytes() == source
    np.testing.assert_array_equal(np.load(folder / "x.npy"), x)
