"""``metrify streams``: what it tells of a broker that is a list."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import MetrifyError
from tests.unit.sources.kafka.test_landing import ListBroker, Plant


@pytest.fixture
def plant(tmp_path, monkeypatch) -> Plant:
    broker = ListBroker(partitions=2)
    plant = Plant(tmp_path, broker)
    broker.produce(range(5))
    broker.low[0] = 2
    plant.tick()
    broker.produce(range(5, 8))
    monkeypatch.setattr("metrify_assets.sources.kafka.cluster.cluster_of", lambda _: broker)
    monkeypatch.setenv("METRIFY_ROOT", str(plant.platform.settings.root))
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(plant.platform.settings.feeds_dir))
    monkeypatch.setenv("METRIFY_SHARDS", "1")
    return plant


def told(*options: str) -> str:
    done = CliRunner().invoke(cli, ["streams", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_every_partition_is_told_with_its_offsets_and_lag(plant):
    record = json.loads(told("--json"))
    assert [
        (row["partition"], row["landed_up_to"], row["low"], row["high"], row["lag"]) for row in record["partitions"]
    ] == [(0, 5, 2, 8, 3), (1, 0, 0, 0, 0)]
    assert [row["last_landed_at"] is None for row in record["partitions"]] == [False, True]
    assert [(loss["log"], loss["start"], loss["offsets"]) for loss in record["losses"]] == [("meter-reads-0", 0, 2)]
    assert (record["lag"], record["problems"]) == (3, [])


def test_people_read_one_line_for_each_partition_loss_and_the_lag(plant):
    header, first, second, lost, waits = told().splitlines()
    assert header.split()[:4] == ["feed", "topic", "partition", "landed_up_to"]
    assert first.split()[:7] == ["streamed", "meter-reads", "0", "5", "2", "8", "3"]
    assert second.split() == ["streamed", "meter-reads", "1", "0", "0", "0", "0", "-"]
    assert lost.startswith("lost: 2 offsets from 0 of meter-reads-0 (drop meter-reads-0-0-2-lost.")
    assert waits == "3 offsets of 2 partitions wait to be landed"


def test_an_installation_without_kafka_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path))
    monkeypatch.delenv("METRIFY_KAFKA_BOOTSTRAP", raising=False)
    done = CliRunner().invoke(cli, ["streams"])
    assert isinstance(done.exception, MetrifyError)
    assert "set METRIFY_KAFKA_BOOTSTRAP" in str(done.exception)
