"""Fixtures of the unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workbench import Workbench, workbench


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A platform of two shards in a temporary folder."""
    return workbench(tmp_path)
