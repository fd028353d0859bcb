"""Interpreters under load: in threads, resized, shared, handed over, forked, interrupted; and what they leave behind.

Each scenario is a process of its own, a script of `scenarios/`, which needs no more than numpy and a stock runtime. The
short tests take a second each. `pytest -m slow tests/load` takes KERAS_BNN_LOAD_SECONDS for each scenario (600 where it
is not set) and 10,000 cycles for the leaks; `pytest -m compat tests/load` runs the short ones on older runtimes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.load_models import write_load_models
from support.runtimes import RUNTIMES, MissingPythonError, Runtime, environment

from keras_bnn.runtime import delegate_path

SCENARIOS = Path(__file__).with_name("scenarios")
NAMES = sorted(path.stem for path in SCENARIOS.glob("*.py") if path.stem not in ("leaks", "workload"))
OLDER = [runtime for runtime in RUNTIMES if runtime.name in ("tflite-runtime==2.14.0", "ai-edge-litert==1.4.0")]
LONG = float(os.environ.get("KERAS_BNN_LOAD_SECONDS", "600"))
HANG = 300  # seconds that a scenario may take longer, on however busy a machine
MOST_GROWTH = 256 * 1024  # bytes: what caches of malloc and Python fill up with


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files and their cases."""
    folder = tmp_path_factory.mktemp("load")
    write_load_models(folder)
    return folder


def run(python: Path | str, name: str, models: Path, amount: float, seed: int = 1) -> str:
    """The last line that a scenario prints."""
    command = [str(python), str(SCENARIOS / f"{name}.py"), delegate_path(), str(models), str(amount), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=models, timeout=amount + HANG)
    assert done.returncode == 0, f"The exit status is {done.returncode}.\n{done.stdout}{done.stderr}"
    return done.stdout.splitlines()[-1]


def older(runtime: Runtime) -> Path:
    """The Python of a runtime's environment."""
    try:
        return environment(runtime)
    except MissingPythonError as missing:
        pytest.skip(str(missing))


def assert_flat(python: Path | str, models: Path, cycles: int) -> None:
    """Assert that nothing grows with the cycles but what grows without our delegate too."""
    found = json.loads(run(python, "leaks", models, cycles))
    print(found)
    for what, limit in (("resident", MOST_GROWTH), ("allocated", MOST_GROWTH), ("descriptors", 0), ("threads", 0)):
        own = found["packed"][what] - max(found["control"][what], 0)
        assert own <= limit, f"{what} grows by {own} in {cycles} cycles: {found}"


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str, models: Path) -> None:
    print(run(sys.executable, name, models, 1))


def test_leaks(models: Path) -> None:
    assert_flat(sys.executable, models, 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_scenario_for_long(name: str, models: Path) -> None:
    print(run(sys.executable, name, models, LONG, seed=2))


@pytest.mark.slow
def test_leaks_of_many_cycles(models: Path) -> None:
    assert_flat(sys.executable, models, 10_000)


@pytest.mark.compat
@pytest.mark.parametrize("runtime", OLDER, ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("name", NAMES)
def test_scenario_on_older_runtimes(name: str, runtime: Runtime, models: Path) -> None:
    print(run(older(runtime), name, models, 1))


@pytest.mark.compat
@pytest.mark.parametrize("runtime", OLDER, ids=lambda runtime: runtime.name)
def test_leaks_on_older_runtimes(runtime: Runtime, models: Path) -> None:
    assert_flat(older(runtime), models, 300)
