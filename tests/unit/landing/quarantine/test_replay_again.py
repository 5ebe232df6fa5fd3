"""Replays among other events: definitions that go back, drops that are replaced or withdrawn meanwhile."""

from __future__ import annotations

from datetime import timedelta

from metrify_assets.drops.ledger import Ledger
from metrify_assets.landing.quarantine.replay import replay
from metrify_assets.storage.object_store import LocalObjectStore
from tests.unit.landing.quarantine.mending import BLANKS, mend, redefine
from tests.unit.landing.quarantine.test_replay import DAYS, active, raw_cells, refused
from tests.workbench import ARRIVED, Workbench, reads


def anew(bench: Workbench) -> None:
    """Look at the ledger as another process would."""
    bench.platform.__dict__["ledger"] = Ledger(LocalObjectStore(bench.platform.settings.root))


def test_a_definition_that_goes_back_and_forth_gives_each_time_what_it_says(bench):
    bench.land("plain", "a.csv", BLANKS)
    before = (raw_cells(bench), refused(bench))
    mend(bench)
    replay(bench.platform, active(bench))
    mended = (raw_cells(bench), refused(bench))
    for _ in range(2):
        redefine(bench, "sentinels: ['-']", "")
        replay(bench.platform, active(bench), accept_losses=True)
        assert (raw_cells(bench), refused(bench)) == before
        anew(bench)
        assert (raw_cells(bench), refused(bench)) == before
        redefine(bench, "unit: kWh", "unit: kWh\nsentinels: ['-']")
        replay(bench.platform, active(bench))
        anew(bench)
        assert (raw_cells(bench), refused(bench)) == mended


def test_a_drop_that_was_replaced_while_it_was_read_again_does_not_come_back(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    newer = bench.land("plain", "a.csv", reads(["A"], DAYS), ARRIVED + timedelta(hours=1)).drop
    mend(bench)
    # Chosen before the newer one came, read after it.
    replay(bench.platform, [drop])
    for _ in range(2):
        assert [active_drop.key for active_drop in active(bench)] == [newer.key]
        assert refused(bench) == []
        anew(bench)


def test_a_drop_that_was_withdrawn_while_it_was_read_again_stays_withdrawn(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    bench.platform.ledger.withdraw(drop, "a test file")
    mend(bench)
    replay(bench.platform, [drop])
    anew(bench)
    assert active(bench) == []
