"""What holds for every test."""

from __future__ import annotations

import sys

import pytest

from tests.examples import load_profile

load_profile()


@pytest.fixture(autouse=True)
def no_storage_of_a_closed_instance() -> None:
    """Let no definitions be loaded with the storage of an instance that another test has closed.

    Of two instances that are open at once, Dagster remembers the storage of the one that is closed first.
    """
    base = sys.modules.get("dagster._core.storage.defs_state.base")
    if base is not None:
        base._current_storage.set(None)
