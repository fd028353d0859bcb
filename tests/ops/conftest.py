"""Fixtures for tests that run ops through the delegate."""

from __future__ import annotations

import pytest
from support import kernel_sets


@pytest.fixture(params=kernel_sets.BUILT_HERE, scope="session")
def isa(request: pytest.FixtureRequest) -> str:
    """Each kernel set that is made for this machine; skipped where the CPU lacks its instructions."""
    reason = kernel_sets.why_unsupported(request.param)
    if reason:
        pytest.skip(reason)
    return request.param
