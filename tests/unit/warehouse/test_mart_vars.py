from __future__ import annotations

import re

import pytest

from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.vee.codes import Flag
from metrify_assets.warehouse.mart_vars import MartParameters, failure_flags, mart_vars


def test_a_finding_that_warns_or_blocks_fails_a_value_and_an_absent_value_is_no_failure():
    flags = failure_flags()
    for failed in (Flag.SPIKE, Flag.NEGATIVE, Flag.CLOCK_DRIFT, Flag.UNIT_MISMATCH, Flag.REFUSED):
        assert flags & failed
    for passed in (Flag.GAP, Flag.BLANK, Flag.DUPLICATE, Flag.NEW_VERSION, Flag.ZERO_RUN, Flag.OUTAGE):
        assert not flags & passed


def test_weights_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match=r"add up to 0\.5"):
        MartParameters(quality_weights=(("completeness", 0.5),))


def test_a_silence_beyond_the_day_before_is_refused():
    with pytest.raises(ValueError, match="silent_after_hours=72"):
        MartParameters(silent_after_hours=72)


def test_every_variable_that_the_project_asks_for_is_declared_and_every_declared_one_is_asked_for():
    project = REPOSITORY_DIR / "metrify_dbt"
    files = [
        path
        for kind in ("*.sql", "*.yml")
        for folder in ("models", "macros", "tests")
        for path in (project / folder).rglob(kind)
    ]
    asked = {name for path in files for name in re.findall(r"""var\(['"](\w+)['"]\)""", path.read_text())}
    assert asked == set(mart_vars())
