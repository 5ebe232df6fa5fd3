"""Working with refused rows where landing zone, lake and ledger are in a bucket."""

from __future__ import annotations

import zipfile
from io import BytesIO

from metrify_assets.landing.ingest import ingest
from metrify_assets.landing.quarantine.counts import chosen_drops, count_rejects
from metrify_assets.landing.quarantine.replay import drops_to_replay, replay
from metrify_assets.landing.quarantine.rows import refused_rows
from metrify_assets.orchestration.automation.sensors import scan_inbox
from metrify_assets.platform import Platform
from tests.s3_server import Sender, s3_settings
from tests.unit.landing.quarantine.mending import BLANKS, mend
from tests.workbench import workbench

pytest_plugins = ["tests.s3_fixtures"]


def reasons(platform: Platform) -> dict[tuple[str, ...], int]:
    drops = chosen_drops(platform, platform.ledger.view())
    return {group.key: group.rows for group in count_rejects(platform.store, drops)}


def test_rows_are_shown_and_leave_the_quarantine_once(sender: Sender, tmp_path):
    bench = workbench(tmp_path, **s3_settings(sender))
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("first.csv", b"point,start,kwh\nB,2026-03-28T00:00:00Z,1\n")
        archive.writestr("second.csv", BLANKS)
    sender.put("plain", "a.csv", BLANKS)
    sender.put("plain", "b.zip", packed.getvalue())
    for file in scan_inbox(bench.platform, None).files:
        ingest(bench.platform, file)
    assert reasons(bench.platform) == {("plain", "bad_number"): 4, ("plain", "bad_timestamp"): 2}
    drops = chosen_drops(bench.platform, bench.platform.ledger.view())
    rows, total = refused_rows(bench.platform, drops, reason="bad_timestamp", limit=9)
    assert total == 2
    assert {(row.name, row.member, row.line_number, row.path.partition(":")[0]) for row in rows} == {
        ("a.csv", "", 7, "s3"),
        ("b.zip", "second.csv", 7, "s3"),
    }

    mend(bench)
    # Another process, which knows nothing of what this one has read.
    other = Platform(bench.platform.settings)
    chosen = drops_to_replay(other, other.ledger.view(), feed="plain")
    assert [replayed.freed for replayed in replay(other, chosen).replayed] == [2, 2]
    assert reasons(other) == reasons(bench.platform) == {("plain", "bad_timestamp"): 2}
    written = [item.key for item in other.store.list("")]
    again = replay(other, drops_to_replay(other, other.ledger.view(), feed="plain"))
    assert (again.replayed, len(again.unchanged)) == ([], 2)
    assert [item.key for item in other.store.list("")] == written
