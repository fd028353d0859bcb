"""Fixtures for tests that run ops through the delegate."""

from __future__ import annotations

import pytest
from support import kernel_sets


@pytest.fixture(params=kernel_sets.ALL, scope="session")
def isa(request: pytest.FixtureRequest) -> str:
    """Each kernel set that this machine can run."""
    reason = kernel_sets.why_unsupported(request.param)
    if reason:
        pytest.skip(reason)
    return request.param
