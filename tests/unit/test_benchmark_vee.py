"""Benchmark ``vee``: the labels say what was injected, and every side finds the same."""

from __future__ import annotations

import importlib
import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks import vee, vee_ours, vee_peers
from benchmarks.frame import Bench, BenchmarkError, Child, benchmark_names
from benchmarks.vee_sample import (
    CUSTOMERS,
    DUPLICATE_SHARE,
    GAP_SHARE,
    LABELLED,
    SLOTS,
    customers_of,
    day_reads,
    loads,
    stage,
)

pytestmark = pytest.mark.seldom

POINTS = 400
SHARDS = 2


@pytest.fixture(scope="module")
def staged(tmp_path_factory) -> dict:
    root = str(tmp_path_factory.mktemp("vee"))
    return {**stage(root, POINTS, SHARDS, history=True), "root": root}


@pytest.fixture(scope="module")
def ours(staged) -> dict:
    return vee_ours.vee(staged["root"], SHARDS, history=True)


def test_the_benchmark_is_found_by_its_name_and_its_helpers_are_none():
    assert "vee" in benchmark_names()
    assert not {"vee_ours", "vee_peers", "vee_sample"} & set(benchmark_names())


def test_reads_come_in_random_order_with_gaps_and_duplicates_at_their_rates():
    reads = day_reads(0, 2_000)
    distinct = np.unique(reads.cells)
    assert 1 - len(distinct) / (2_000 * SLOTS) == pytest.approx(GAP_SHARE, rel=0.1)
    assert len(reads.cells) / len(distinct) - 1 == pytest.approx(DUPLICATE_SHARE, rel=0.2)
    assert np.mean(np.diff(reads.cells) > 0) == pytest.approx(0.5, abs=0.01)


def test_labels_name_the_cells_whose_values_are_faulty():
    reads = day_reads(0, 2_000)
    wh = np.zeros(2_000 * SLOTS, dtype=np.int64)
    wh[reads.cells] = reads.wh
    limit = np.array([kind.connection_kw for kind in CUSTOMERS])[customers_of(0, 2_000)] * 250
    over = wh > np.repeat(limit, SLOTS)
    assert set(np.flatnonzero(wh < 0)) == set(reads.labels["negative"])
    assert set(np.flatnonzero(over)) == set(reads.labels["physical_limit"])
    assert set(reads.labels["gap"]) == set(range(2_000 * SLOTS)) - set(reads.cells)
    twice = np.flatnonzero(np.bincount(reads.cells) == 2)
    assert sorted(np.r_[reads.labels["duplicate"], reads.labels["new_version"]]) == twice.tolist()


def test_loads_are_not_flat_and_a_point_keeps_its_level_from_day_to_day():
    today, week_ago = loads(0, 500, 0).sum(axis=1), loads(0, 500, -7).sum(axis=1)
    assert np.corrcoef(np.log(today), np.log(week_ago))[0, 1] > 0.99
    assert (today != week_ago).mean() > 0.99
    assert min(len(np.unique(row)) for row in loads(0, 500, 0)) > 5


def test_every_point_and_slot_comes_out_sorted(ours):
    assert vee_ours.findings(ours["files"])["rows"] == POINTS * SLOTS


def test_every_rule_has_something_to_find(ours):
    assert min(vee_ours.findings(ours["files"]).values()) > 0


@pytest.mark.parametrize("peer", sorted(vee.PEERS))
def test_a_peer_finds_what_the_platform_finds(staged, ours, tmp_path, peer):
    run = getattr(vee_peers, vee.PEERS[peer].partition(":")[2])
    findings = run(staged["files"], staged["registry"], staged["start"], str(tmp_path))["findings"]
    assert set(findings) == {"gap", "negative", "spike", "stuck"}
    vee.require_agreement(vee_ours.findings(ours["files"]), {peer: findings})


def test_a_disagreement_is_an_error_that_names_the_rule():
    with pytest.raises(BenchmarkError, match="pandas finds 3 slots of gap, our side 2"):
        vee.require_agreement({"gap": 2}, {"pandas": {"gap": 3}})


def test_the_copy_holds_every_read(staged, tmp_path):
    assert vee_peers.parquet_copy(staged["files"], str(tmp_path))["rows"] == staged["reads"]


def test_history_is_used_and_leaves_the_findings_alone(staged, ours):
    without = vee_ours.vee(staged["root"], SHARDS, history=False)
    assert vee_ours.findings(without["files"]) == vee_ours.findings(ours["files"])
    assert without["files"] != ours["files"]


def test_what_bookkeeping_decides_is_found_exactly(staged, ours):
    scores = vee_ours.scores(staged["root"], ours["files"])
    for rule in ("gap", "duplicate", "new_version", "negative", "physical_limit"):
        assert (scores[f"{rule}_precision"], scores[f"{rule}_recall"]) == (1, 1)
    assert min(scores[f"{rule}_{score}"] for rule in ("spike", "stuck") for score in ("precision", "recall")) > 0.9


def test_one_late_read_computes_its_shard_only(tmp_path):
    stage(str(tmp_path), 20, 4, history=False)
    published = vee_ours.whole(str(tmp_path), 4)
    assert published["rules"].keys() == set(LABELLED)
    late = vee_ours.late_read(str(tmp_path), 4, point=3, slot=7)
    assert len(late["validated"]) == 1
    assert late["clean"] == late["validated"]


def test_a_measurement_gives_every_figure_that_is_explained(monkeypatch):
    monkeypatch.setattr(Bench, "in_child", _in_this_process)
    with Bench.in_temporary_folder(Console(file=io.StringIO()), points=60, repeats=1) as bench:
        figures = vee.measure(bench)
    assert set(vee.FIGURES) == set(figures)
    assert all(isinstance(value, int | float) for value in figures.values())


def _in_this_process(bench: Bench, function: str, **arguments: object) -> Child:
    """Stand for a child process: starting thirty of them takes longer than all that they do."""
    module, _, name = function.partition(":")
    return Child(getattr(importlib.import_module(module), name)(**arguments), 1.0)
