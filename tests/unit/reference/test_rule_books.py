"""The rule book of a running installation."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from metrify_assets.errors import SettingsError
from tests.workbench import Workbench, flat, reads, workbench

DAY = date(2026, 3, 10)
SOUND = b"editions: [{version: a, valid_from: 1990-01-01, rules: {stuck_minutes: 90}}]"
BAD = [
    SOUND.replace(b"90", b"abc"),
    SOUND.replace(b"stuck_minutes: 90", b"outlier_k: null"),
    SOUND.replace(b"90", b"-5"),
    SOUND.replace(b"version: a", b"version: \xff"),
    SOUND.replace(b"1990-01-01", b"1990-13-01"),
    b"",
]


@pytest.fixture
def installed(tmp_path: Path) -> Workbench:
    """One point whose day is computed under a rule book of its own."""
    (tmp_path / "rules.yaml").write_bytes(SOUND)
    bench = workbench(tmp_path, rules_file=tmp_path / "rules.yaml")
    bench.register("A")
    bench.land("plain", "a.csv", reads(["A"], [DAY], flat(0.5)))
    bench.settle()
    return bench


@pytest.mark.parametrize("text", BAD, ids=repr)
def test_a_rule_book_that_becomes_bad_stops_the_work_in_one_line_until_it_is_mended(installed, text):
    path, before = installed.platform.settings.rules_file, installed.digests()
    installed.land("plain", "a.csv", reads(["A"], [DAY], flat(0.7)))
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=r"rules\.yaml") as caught:
        installed.settle()
    assert "\n" not in str(caught.value)
    assert installed.digests() == before
    path.write_bytes(SOUND)
    assert installed.settle() == [DAY]
