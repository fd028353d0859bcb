"""What a C++ user gets from `cmake --install`: the CMake package, the pkg-config file, and programs that run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.delegate import assert_same_bits
from support.mnist import FOLDER, digits
from support.programs import printed_floats, run
from support.session import Session

import keras_bnn

MODEL = FOLDER / "mnist_cnn.tflite"


@pytest.fixture(scope="module")
def litert() -> Path:
    """LiteRT's C library, which the Python package has since version 2.1."""
    package = pytest.importorskip("ai_edge_litert")
    library = Path(package.__file__).with_name("libLiteRt.so")
    if not library.exists():
        pytest.skip(f"{library} is not there: ai-edge-litert 2.1.6 or newer has it")
    return library


@pytest.fixture
def images(tmp_path: Path) -> Path:
    digits()[0][:20].tofile(tmp_path / "images.f32")
    return tmp_path / "images.f32"


def _check_compiled_model(program: Path, litert: Path, model: Path, images: Path, environment: dict[str, str]) -> None:
    session = Session(model.read_bytes(), "scalar")
    expected = np.concatenate([session.run([image[np.newaxis]])[0] for image in digits()[0][:20]])
    printed = run(program, model, "--runtime", litert, "--input", images, env=environment, stderr=subprocess.DEVNULL)
    assert_same_bits([printed_floats(printed)], [expected])


def test_layout(prefix: Path) -> None:
    version = keras_bnn.__version__
    library, package = "lib", "lib/cmake/keras_bnn"
    major = version.split(".")[0]
    files = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if not path.is_dir()}
    assert files == {
        "include/keras_bnn/keras_bnn.h",
        *(f"{library}/libkeras_bnn.so{end}" for end in ("", f".{major}", f".{version}")),
        *(f"{package}/keras_bnnConfig{end}.cmake" for end in ("", "-debug", "Version")),
        f"{library}/pkgconfig/keras_bnn.pc",
    }
    assert (prefix / library / "libkeras_bnn.so").is_symlink()


def test_find_package(programs: Path, litert: Path, images: Path, environment: dict[str, str]) -> None:
    """The example runs LiteRT's CompiledModel with our ops, and prints the bits that the Python interpreter gives."""
    _check_compiled_model(programs / "compiled_model", litert, MODEL, images, environment)


@pytest.mark.parametrize(("wanted", "found"), [("0.1", "1"), ("1.0", "0"), ("0.9", "0")])
def test_find_package_checks_the_version(prefix: Path, tmp_path: Path, wanted: str, found: str) -> None:
    lines = (
        "cmake_minimum_required(VERSION 3.16)",
        "project(consumer LANGUAGES CXX)",
        f"find_package(keras_bnn {wanted} CONFIG QUIET)",
        'message(STATUS "found: ${keras_bnn_FOUND}")',
    )
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines))
    command = ("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert f"found: {found}" in run(*command)


def _pkg_config(prefix: Path, *arguments: str) -> list[str]:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    path = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    return run("pkg-config", *arguments, "keras_bnn", env={**os.environ, **path}).split()


def test_pkg_config(
    prefix: Path, sources: Path, tmp_path: Path, litert: Path, images: Path, environment: dict[str, str]
) -> None:
    assert _pkg_config(prefix, "--modversion") == [keras_bnn.__version__]
    program = tmp_path / "compiled_model"
    libraries = [*_pkg_config(prefix, "--libs"), f"-Wl,-rpath,{prefix / 'lib'}", "-ldl"]
    run("c++", "-std=c++17", *_pkg_config(prefix, "--cflags"), sources / "compiled_model.cc", "-o", program, *libraries)
    _check_compiled_model(program, litert, MODEL, images, environment)


def test_c_program(prefix: Path, tmp_path: Path) -> None:
    lines = (
        "#include <keras_bnn/keras_bnn.h>",
        "#include <stdio.h>",
        "int main(void) {",
        "  struct TfLiteDelegate* delegate = tflite_plugin_create_delegate(NULL, NULL, 0, NULL);",
        '  printf("%s %s %d\\n", KerasBnnVersion(), KerasBnnOpName(0), delegate != NULL);',
        "  tflite_plugin_destroy_delegate(delegate);",
        "  return 0;",
        "}",
    )
    (tmp_path / "program.c").write_text("\n".join(lines))
    flags = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *_pkg_config(prefix, "--cflags"))
    run("cc", *flags, tmp_path / "program.c", "-o", tmp_path / "program", *_pkg_config(prefix, "--libs"))
    path = {"LD_LIBRARY_PATH": str(prefix / "lib")}
    assert run(tmp_path / "program", env={**os.environ, **path}) == f"{keras_bnn.__version__} BnnQuantize 1\n"


@pytest.mark.parametrize("program", ["minimal", "compiled_model"])
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "usage: "),
        (["model.tflite", "another.tflite"], 2, "usage: "),
        (["model.tflite", "--speed"], 2, "usage: "),
        (["model.tflite", "--runtime"], 2, "usage: "),
        (["model.tflite", "--runtime", "no.so"], 1, "error: no.so: cannot open shared object file"),
        (["model.tflite", "--runtime", "libc.so.6"], 1, "error: the runtime library does not export "),
    ],
)
def test_wrong_arguments(programs: Path, program: str, arguments: list[str], code: int, message: str) -> None:
    done = subprocess.run([programs / program, *arguments], stderr=subprocess.PIPE, text=True)
    assert done.returncode == code
    assert done.stderr.startswith(message)


def test_wrong_files(programs: Path, litert: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Names the file, and what was expected of it."""

    def failure(model: object, *arguments: object) -> str:
        command = [programs / "compiled_model", model, "--runtime", litert, *arguments]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert done.returncode == 1
        return done.stderr

    assert "error: LiteRtCreateModelFromFile fails with status 500" in failure(tmp_path / "none.tflite")
    assert f"error: cannot open {tmp_path / 'none.f32'}" in failure(MODEL, "--input", tmp_path / "none.f32")
    (tmp_path / "short.f32").write_bytes(bytes(28))
    expected = "short.f32 has 28 bytes; expected a multiple of the 3136 of the model's input"
    assert expected in failure(MODEL, "--input", tmp_path / "short.f32")
    environment["KERAS_BNN_ISA"] = "abacus"
    assert "(the name comes from the environment variable KERAS_BNN_ISA)" in failure(MODEL)
