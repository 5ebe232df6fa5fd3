"""``metrify quarantine ...``: what could not be read, row by row, and reading it again after its feed was corrected."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from metrify_assets.cli.common import aligned, as_json, day_of, platform_of_environment, print_json, stamp
from metrify_assets.errors import DropError, MetrifyError, escaped

if TYPE_CHECKING:
    from metrify_assets.landing.quarantine.counts import Group, SetAside
    from metrify_assets.landing.quarantine.replay import Outcome, Replay
    from metrify_assets.landing.quarantine.rows import RefusedRow

SHOWN_CHARACTERS = 200
"""Characters of a row that the text output shows; ``--json`` shows all."""
SHOWN_DAYS = 10

_feed = click.option("--feed", "feed_name", help="Only this feed.")
_reason = click.option("--reason", help="Only this reason, such as bad_timestamp.")
_since = click.option("--since", help="Only drops received on this day or later.")
_all = click.option("--all", "everything", is_flag=True, help="Also drops that were replaced or withdrawn.")


@click.group()
def quarantine() -> None:
    """What could not be read: why, where it stands, and reading it again."""


def _known_reason(reason: str | None) -> str | None:
    """Return the reason; raise ``DropError`` that lists the reasons if there is none of that name."""
    from metrify_assets.feeds.codes import RejectReason

    reasons = [str(reason_) for reason_ in RejectReason]
    if reason is not None and reason not in reasons:
        raise DropError(f"there is no reason {reason!r}: use one of {', '.join(reasons)}")
    return reason


@quarantine.command("list")
@click.option(
    "--by",
    default="feed,reason",
    show_default=True,
    help="What to count by: some of feed, reason, day (delivery day) and drop, with commas between them.",
)
@_feed
@_reason
@_since
@_all
@as_json
def list_reasons(
    by: str, feed_name: str | None, reason: str | None, since: str | None, everything: bool, to_json: bool
) -> None:
    """Count the rejected rows and their value cells, the most first."""
    from metrify_assets.landing.quarantine.counts import GROUPINGS, chosen_drops, count_rejects, set_aside

    names = [name.strip() for name in by.split(",")]
    for name in names:
        if name not in GROUPINGS:
            raise DropError(f"cannot count by {name!r}: use some of {', '.join(GROUPINGS)}, with commas between them")
    platform = platform_of_environment()
    start = day_of(since) if since else None
    drops = chosen_drops(platform, platform.ledger.view(), feed=feed_name, since=start, everything=everything)
    groups = count_rejects(platform.store, drops, names, reason=_known_reason(reason))
    # What validation sets aside is counted by day and table, not by feed: it is left out where a feed is asked for.
    aside = [] if feed_name or reason or since else set_aside(platform.lake)
    if to_json:
        print_json(_list_record(names, groups, aside, len(drops)))
        return
    _print_groups(names, groups, len(drops))
    _print_set_aside(aside)


def _list_record(names: list[str], groups: list[Group], aside: list[SetAside], drops: int) -> dict[str, Any]:
    return {
        "drops": drops,
        "rows": sum(group.rows for group in groups),
        "value_cells": sum(group.value_cells for group in groups),
        "groups": [
            {**dict(zip(names, group.key, strict=True)), "rows": group.rows, "value_cells": group.value_cells}
            for group in groups
        ],
        "set_aside": [asdict(day) for day in aside],
    }


def _print_groups(names: list[str], groups: list[Group], drops: int) -> None:
    if not groups:
        click.echo(f"nothing was refused in {drops} drops")
        return
    total = [sum(group.rows for group in groups), sum(group.value_cells for group in groups)]
    lines = [
        [*names, "rows", "values"],
        *([*group.key, f"{group.rows:,}", f"{group.value_cells:,}"] for group in groups),
        ["total", *[""] * (len(names) - 1), *(f"{number:,}" for number in total)],
    ]
    for line in aligned(lines, right=(len(names), len(names) + 1)):
        click.echo(line)


def _print_set_aside(aside: list[SetAside]) -> None:
    if not aside:
        return
    unassigned, off_grid = sum(day.unassigned for day in aside), sum(day.off_grid for day in aside)
    click.echo(
        f"read, but set aside by validation on {len(aside)} days (they are in raw_readings): {unassigned:,} values of "
        f"channels that no registry knows, {off_grid:,} that fit no slot"
    )
    for day in aside[-SHOWN_DAYS:]:
        points = f" ({', '.join(day.examples)})" if day.examples else ""
        click.echo(f"  {day.day}: {day.unassigned:,} unassigned{points}, {day.off_grid:,} off the grid")
    click.echo("  see which with `metrify explain POINT DAY`; name the points in a registry feed")


@quarantine.command("show")
@click.argument("drop_id", required=False)
@_feed
@_reason
@_since
@_all
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Most rows to show.")
@as_json
def show(
    drop_id: str | None,
    feed_name: str | None,
    reason: str | None,
    since: str | None,
    everything: bool,
    limit: int,
    to_json: bool,
) -> None:
    """Show rejected rows as they came: of the drop DROP_ID, or of all drops that count."""
    from metrify_assets.landing.quarantine.counts import chosen_drops
    from metrify_assets.landing.quarantine.rows import refused_rows

    platform = platform_of_environment()
    view = platform.ledger.view()
    if drop_id is not None:
        drops = [view.find(drop_id)]
    else:
        start = day_of(since) if since else None
        drops = chosen_drops(platform, view, feed=feed_name, since=start, everything=everything)
    rows, total = refused_rows(platform, drops, reason=_known_reason(reason), limit=limit)
    if to_json:
        print_json({"total": total, "rows": [asdict(row) | {"received_at": stamp(row.received_at)} for row in rows]})
        return
    for row in rows:
        _print_row(row)
    click.echo(f"{len(rows):,} of {total:,} rows" + ("; see more with --limit" if total > len(rows) else ""))


def _print_row(row: RefusedRow) -> None:
    place = "the file as a whole" if row.row_number == 0 else f"{row.unit} {row.row_number}"
    place = f"{row.member}, {place}" if row.member else place
    line = f", line {row.line_number}" if row.line_number else ""
    payload = row.payload if len(row.payload) <= SHOWN_CHARACTERS else row.payload[:SHOWN_CHARACTERS] + " ..."
    click.echo(escaped(f"{row.feed}/{row.name}, {place}{line}: {row.reason}: {row.detail}"))
    click.echo(f"    as it came: {payload!r}")
    click.echo(f"    drop {row.drop_id}, {row.path}")


@quarantine.command("replay")
@click.argument("drop_ids", nargs=-1, metavar="[DROP]...")
@click.option("--feed", "feed_name", help="All drops of this feed with rejected rows.")
@click.option("--reason", help="Only drops with rows of this reason; each is read again as a whole.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--accept-losses", is_flag=True, help="Also where values that count now would be refused.")
@as_json
def replay(
    drop_ids: tuple[str, ...],
    feed_name: str | None,
    reason: str | None,
    dry_run: bool,
    accept_losses: bool,
    to_json: bool,
) -> None:
    """Read drops again after their feed was corrected: rows that can be read now leave the quarantine, once.

    A second replay has nothing to do. Days whose rows changed are dirty then.
    """
    from metrify_assets.landing.ingest import outdated
    from metrify_assets.landing.quarantine.replay import drops_to_replay
    from metrify_assets.landing.quarantine.replay import replay as replay_drops
    from metrify_assets.orchestration.raw_day_events import changed_days, report_raw_day_events

    platform = platform_of_environment()
    if feed_name:
        platform.feed(feed_name)
    before = platform.ledger.view()
    drops = drops_to_replay(platform, before, drop_ids, feed=feed_name, reason=_known_reason(reason))
    try:
        outcome = replay_drops(platform, drops, trial=dry_run, accept_losses=accept_losses)
    finally:
        # Also if a later drop failed: what was replayed until then counts.
        if not dry_run:
            report_raw_day_events(platform)
    days = sorted({day for _, day in changed_days(before, platform.ledger.view())})
    left = (
        0
        if dry_run
        else sum(drop.feed in {replayed.drop.feed for replayed in outcome.replayed} for drop in outdated(platform))
    )
    if to_json:
        print_json(_outcome_record(outcome, dry_run) | {"days": days, "outdated_drops_left": left})
    else:
        _print_outcome(outcome, dry_run, len(days))
        if left:
            click.echo(f"{left} other drops of the feed were read under an older definition: `metrify drop reread`")
    if outcome.held_back:
        raise MetrifyError(
            f"{len(outcome.held_back)} drops were left as they are, because values that count now would be refused: "
            "correct the feed definition, or say --accept-losses"
        )


def _outcome_record(outcome: Outcome, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "replayed": [_replay_record(replayed) for replayed in outcome.replayed],
        "held_back": [_replay_record(replayed) for replayed in outcome.held_back],
        "unchanged": [{"feed": drop.feed, "drop_id": drop.drop_id, "name": drop.name} for drop in outcome.unchanged],
    }


def _replay_record(replayed: Replay) -> dict[str, Any]:
    return {
        "feed": replayed.drop.feed,
        "drop_id": replayed.drop.drop_id,
        "name": replayed.drop.name,
        "rows_freed": replayed.freed,
        "rows_refused_again": replayed.refused_again,
        "rows_newly_refused": replayed.newly_refused,
        "before": {**replayed.before.counts, "reasons": dict(replayed.before.reasons)},
        "after": {**replayed.after.counts, "reasons": dict(replayed.after.reasons)},
    }


def _print_outcome(outcome: Outcome, dry_run: bool, days: int) -> None:
    for verb, replays in [("would free" if dry_run else "freed", outcome.replayed), ("held back", outcome.held_back)]:
        for replayed in replays:
            before, after = replayed.before.counts, replayed.after.counts
            click.echo(
                f"{replayed.drop.drop_id:18} {replayed.drop.label}: {verb} {replayed.freed:,} rows; "
                f"{replayed.refused_again:,} still refused, {replayed.newly_refused:,} newly refused; "
                f"values {before['raw_values']:,} -> {after['raw_values']:,} read, "
                f"{before['quarantined_values']:,} -> {after['quarantined_values']:,} refused"
            )
            for reason, rows in sorted(replayed.after.reasons.items()):
                click.echo(f"    {reason}: {rows:,} rows")
    if outcome.unchanged:
        click.echo(f"{len(outcome.unchanged)} drops were read under the feed definition of now: nothing to do")
    if not (outcome.replayed or outcome.held_back or outcome.unchanged):
        click.echo("no drop has such rows: nothing to do")
    if outcome.replayed and not dry_run:
        click.echo(f"{len(outcome.replayed)} drops read again; {days} days are dirty now")
