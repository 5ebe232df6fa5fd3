"""The checks on the delivery day that ended last."""

from __future__ import annotations

from datetime import date

import pytest

from metrify_assets.orchestration.checks.latest_day import computed_result, published_result
from metrify_assets.published.catalog import Catalog, Part, Published
from metrify_assets.published.models import Model

DAY = date(2026, 3, 29)
PART = Part("a.parquet", 1, 10, "d", "s")


def catalog(**parts_of: list[str]) -> Catalog:
    """Return a catalog of marts by day, each with the days given."""
    models = {
        name: Published(Model("marts", name, "", (), ("day",), "day"), dict.fromkeys(days, PART))
        for name, days in parts_of.items()
    }
    return Catalog(1, "2026-03-30T05:00:00+00:00", "/x", models)


def test_a_day_without_a_manifest_is_not_there():
    result = computed_result(DAY, None)
    assert not result.passed
    assert result.description == "2026-03-29 is not there."


@pytest.mark.parametrize(
    ("published", "passed", "absent"),
    [
        (None, False, ""),
        (catalog(), False, ""),
        (catalog(a=["2026-03-28", "2026-03-29"], b=["2026-03-29"]), True, ""),
        # The day before is there, the last one is not.
        (catalog(a=["2026-03-28"], b=["2026-03-29"]), False, "marts.a"),
    ],
)
def test_a_day_is_published_when_every_mart_by_day_holds_it(published, passed, absent):
    result = published_result(DAY, published)
    assert result.passed is passed
    assert result.metadata["marts without it"].value == absent
