"""From a file in a bucket to the marts: the real sensors and jobs, dbt included, over a lake on S3."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.harness import installation
from tests.s3_server import Sender, s3_settings
from tests.workbench import flat, points_file, reads, write_feeds

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]

pytest_plugins = ["tests.s3_fixtures"]
DAYS = [date(2026, 3, 28), date(2026, 3, 29)]
BY_DAY = "select day, sum(energy_kwh) from marts.fct_smart_meter_analytics group by day order by day"


def test_a_file_in_a_bucket_reaches_the_marts_and_a_correction_changes_its_days(sender: Sender, tmp_path: Path):
    feeds = write_feeds(tmp_path / "feeds")
    with installation(tmp_path, shards=2, feeds_dir=feeds, **s3_settings(sender)) as plant:
        sender.put("registry_points", "points.csv", points_file([{"point_id": "A"}, {"point_id": "B"}]))
        sender.put("plain", "a.csv", reads(["A", "B"], DAYS, flat(0.5)))
        assert plant.settle() == ["ingest", "delivery_days"]
        # Two points, half a kilowatt-hour in each of 24 hours (every second time 1 Wh more); 23 on the day on which
        # the clocks change.
        assert plant.query(BY_DAY) == [(DAYS[0], Decimal("24.024")), (DAYS[1], Decimal("23.022"))]
        sender.put("plain", "b.csv", reads(["A"], DAYS[1:], flat(1)))
        assert plant.settle() == ["ingest", "delivery_days"]
        assert plant.query(BY_DAY) == [(DAYS[0], Decimal("24.024")), (DAYS[1], Decimal("34.522"))]
        assert plant.settle() == []
        assert not (plant.settings.root / "lake").exists()
        assert not (plant.settings.root / "inbox").exists()
