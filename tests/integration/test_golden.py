"""The platform computes what it computed before: byte for byte."""

import json
from pathlib import Path

import pytest

from tests.golden.utility import RECORDED, describe

pytestmark = pytest.mark.dbt


def test_a_small_utility_comes_out_byte_for_byte_as_recorded(tmp_path: Path):
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    computed = describe(tmp_path)
    changed = {
        name: (recorded.get(name, "absent"), computed.get(name, "absent"))
        for name in sorted(recorded.keys() | computed.keys())
        if recorded.get(name) != computed.get(name)
    }
    assert not changed, f"{changed}: if it is meant to change, record it: python -m tests.golden"
    kinds = {name.split(" ", 1)[0] for name in computed}
    assert kinds == {"drop", "file", "manifest", "mart"}
