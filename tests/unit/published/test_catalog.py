"""Decisions on the catalog, without files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.published.catalog import (
    KEPT_REPLACED,
    Catalog,
    Part,
    Published,
    parsed,
    periods_of,
    retire,
    stale_parts,
    state_of,
    wanted_parts,
)
from tests.small_marts import DAILY, DIMENSION, MODELS, MONTHLY, SCORE

FIRST, SECOND = date(2026, 3, 31), date(2026, 4, 1)
NOW = datetime(2026, 4, 10, tzinfo=UTC)


def part(file: str, sources: str = "s") -> Part:
    return Part(file, 1, 10, file, sources)


def catalog(files: set[str], retired: dict[str, str] | None = None) -> Catalog:
    parts = {name: part(name) for name in sorted(files)}
    return Catalog(3, NOW.isoformat(), "/published", {DAILY.table: Published(DAILY, parts)}, retired or {})


def changed(model, before: dict, after: dict) -> set[str]:
    old, new = wanted_parts(model, before, "registry"), wanted_parts(model, after, "registry")
    return {period for period in new if old.get(period) != new[period]}


def test_a_changed_day_changes_what_is_built_from_it():
    before, after = {FIRST: "a", SECOND: "b"}, {FIRST: "x", SECOND: "b"}
    assert changed(DAILY, before, after) == {"2026-03-31"}
    assert changed(SCORE, before, after) == {"2026-03-31", "2026-04-01"}
    assert changed(MONTHLY, before, after) == {"2026-03-01"}
    assert changed(DIMENSION, before, after) == set()


def test_a_new_year_changes_the_dimensions_and_a_registry_nothing_else():
    days = {FIRST: "a"}
    assert changed(DIMENSION, days, {**days, date(2027, 1, 1): "b"}) == {""}
    assert wanted_parts(DIMENSION, days, "registry") != wanted_parts(DIMENSION, days, "other")
    assert wanted_parts(DAILY, days, "registry") == wanted_parts(DAILY, days, "other")


def test_only_days_that_the_marts_hold_are_wanted():
    # The score of the day after is not there before the day is.
    assert set(wanted_parts(SCORE, {FIRST: "a"}, "registry")) == {"2026-03-31"}


def test_a_rebuild_touches_the_day_the_day_after_or_the_month():
    assert periods_of(DAILY, [FIRST]) == {"2026-03-31"}
    assert periods_of(SCORE, [FIRST]) == {"2026-03-31", "2026-04-01"}
    assert periods_of(MONTHLY, [FIRST, SECOND]) == {"2026-03-01", "2026-04-01"}
    assert periods_of(DIMENSION, [FIRST]) == {""}


def test_stale_is_what_is_new_built_from_something_else_or_asked_for():
    wanted = {"new": "s", "same": "s", "other": "t", "asked": "s"}
    parts = {name: part(name) for name in ("same", "other", "asked", "gone")}
    assert stale_parts(wanted, parts, {"asked", "not wanted"}) == ["asked", "new", "other"]


def test_the_state_depends_on_every_day_the_dimensions_the_contracts_and_the_place():
    states = {
        state_of(days, *others)
        for days in ({}, {FIRST: "a"}, {FIRST: "b"}, {SECOND: "a"}, {FIRST: "a", SECOND: "a"})
        for others in (("r", "c", "l"), ("s", "c", "l"), ("r", "d", "l"), ("r", "c", "m"))
    }
    assert len(states) == 20
    assert state_of({FIRST: "a", SECOND: "b"}, "r", "c", "l") == state_of({SECOND: "b", FIRST: "a"}, "r", "c", "l")


def test_a_catalog_is_read_as_it_was_written():
    models = {model.table: Published(model, {"2026-03-31": part("f")}) for model in MODELS}
    written = Catalog(7, NOW.isoformat(), "/published", models, {"old": NOW.isoformat()})
    read = parsed(json.loads(written.as_bytes()))
    assert read == written
    assert read.digest == written.digest
    assert read.as_bytes() == written.as_bytes()


NAMES = st.sets(st.sampled_from("abcdefgh"))
AGES = st.integers(0, 3 * KEPT_REPLACED.days)


@given(NAMES, NAMES, NAMES, st.dictionaries(st.sampled_from("abcdefgh"), AGES))
def test_files_of_the_new_version_stay_and_others_go_when_they_were_replaced_long_ago(before, files, leftover, ages):
    since = {name: (NOW - timedelta(days=age)).isoformat() for name, age in ages.items() if name not in before}
    retired, gone = retire(catalog(before, since), files, leftover, NOW)
    assert files.isdisjoint(retired)
    assert files.isdisjoint(gone)
    assert set(retired) | set(gone) == (before | set(since) | leftover) - files
    assert set(retired).isdisjoint(gone)
    for name in gone:
        assert ages[name] >= KEPT_REPLACED.days
    for name, moment in retired.items():
        # What was replaced just now is kept from now on, what was replaced before keeps its moment.
        assert moment == since.get(name, NOW.isoformat())


def test_without_a_version_before_nothing_is_replaced():
    assert retire(None, {"a"}, [], NOW) == ({}, [])
