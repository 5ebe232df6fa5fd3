"""Verdicts on streams: lag and loss against their thresholds."""

from __future__ import annotations

import pytest

from metrify_assets.drops.ledger import Drop
from metrify_assets.drops.offsets import Log, OffsetRange
from metrify_assets.feeds.catalogue import load_feed
from metrify_assets.orchestration.checks.streams import lag_result, loss_result
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.lag import Loss, PartitionLag, Survey
from tests.streams import TOPIC, stream_feed

LOG = Log(TOPIC, "0123abcd", 0)


@pytest.fixture
def feed(tmp_path):
    return load_feed(stream_feed(tmp_path, wait_seconds=60, max_records_per_drop=100))


def loss(start: int, end: int) -> Loss:
    held = OffsetRange(LOG, start, end, lost=True)
    empty = dict.fromkeys(("size", "modified_at", "received_at", "ingested_at"), 0)
    drop = Drop(
        feed="streamed",
        drop_id=held.drop_id,
        name=held.name,
        kind="readings",
        table="raw_readings",
        replaces=False,
        landed="",
        parse_digest="",
        parts={},
        counts={},
        **empty,
    )
    return Loss(drop, held)


def test_lag_is_what_the_broker_has_and_we_have_not(feed):
    assert PartitionLag(feed, LOG, end=5, landed_at=0, low=0, high=12).lag == 7
    # What expired is no lag, but a loss.
    behind = PartitionLag(feed, LOG, end=5, landed_at=0, low=8, high=12)
    assert (behind.lag, behind.expired) == (4, 3)


def test_lag_warns_beyond_its_threshold(feed):
    survey = Survey([PartitionLag(feed, LOG, 5, 0, 0, 12), PartitionLag(feed, LOG, 0, 0, 0, 3)])
    assert lag_result(survey, Settings(stream_max_lag=10)).passed
    assert not lag_result(survey, Settings(stream_max_lag=9)).passed


def test_a_topic_that_cannot_be_read_warns(feed):
    result = lag_result(Survey(problems=["topic a does not exist: create it"]), Settings())
    assert not result.passed
    assert result.metadata["problems"].value == "topic a does not exist: create it"


def test_lost_offsets_fail_beyond_their_threshold():
    lost = [loss(5, 9), loss(20, 22)]
    result = loss_result(None, lost, Settings())
    assert not result.passed
    assert result.metadata["lost_offsets"].value == 6
    assert loss_result(None, lost, Settings(stream_max_lost=6)).passed


def test_what_expired_before_the_first_read_is_told_and_no_alarm():
    result = loss_result(None, [loss(0, 1_000)], Settings())
    assert result.passed
    assert result.metadata["expired_before_the_first_read"].value == 1_000


def test_a_loss_that_is_not_recorded_yet_fails_already(feed):
    survey = Survey([PartitionLag(feed, LOG, end=5, landed_at=0, low=8, high=12)])
    assert not loss_result(survey, [], Settings()).passed
    fresh = Survey([PartitionLag(feed, LOG, end=0, landed_at=0, low=8, high=12)])
    assert loss_result(fresh, [], Settings()).passed


def test_a_topic_created_again_fails_though_nobody_knows_how_much_is_lost():
    assert not loss_result(None, [loss(7, 7)], Settings(stream_max_lost=10)).passed
