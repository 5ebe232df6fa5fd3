"""The tables of an installation in a bucket, opened by its address."""

from __future__ import annotations

from datetime import date

import pytest

import metrify_assets as metrify
from metrify_assets.errors import InstallationError
from metrify_assets.landing.ingest import ingest
from metrify_assets.orchestration.automation.sensors import scan_inbox
from metrify_assets.registry.registries import build_registry
from tests.s3_server import PREFIX, Sender, s3_settings
from tests.workbench import points_file, reads, workbench

pytest_plugins = ["tests.s3_fixtures"]

DAY = date(2026, 3, 28)


def test_an_installation_in_a_bucket_is_opened_by_its_address(sender: Sender, tmp_path, monkeypatch):
    bench = workbench(tmp_path, **s3_settings(sender))
    monkeypatch.setenv("METRIFY_S3_ENDPOINT", sender.bucket.endpoint)
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path / "analyst"))
    with pytest.raises(InstallationError, match=f"no installation in s3://{sender.bucket.name}/{PREFIX}"):
        metrify.open(f"s3://{sender.bucket.name}/{PREFIX}")
    sender.put("registry_points", "points.csv", points_file([{"point_id": "A"}]))
    sender.put("plain", "a.csv", reads(["A"], [DAY]))
    for file in scan_inbox(bench.platform, None).files:
        ingest(bench.platform, file)
    build_registry(bench.platform, "points")
    bench.settle()
    lake = metrify.open(f"s3://{sender.bucket.name}/{PREFIX}")
    assert lake.clean_readings(days=DAY)["value_kwh"].sum() == pytest.approx(24 * 0.5 + 12 * 0.001)
    assert lake.registry()["point_id"].tolist() == ["A"]
    assert len(lake.raw_readings()) == 24
