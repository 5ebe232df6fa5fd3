"""``metrify streams``: how far behind every partition of a stream is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from metrify_assets.cli.common import aligned, as_json, platform_of_environment, print_json, stamp

if TYPE_CHECKING:
    from metrify_assets.sources.kafka.lag import Loss, PartitionLag

COLUMNS = ("feed", "topic", "partition", "landed_up_to", "low", "high", "lag", "last_landed_at")


@click.command()
@as_json
def streams(to_json: bool) -> None:
    """Compare Kafka's partitions with what is landed: offsets, lag, losses and problems."""
    from metrify_assets.sources.kafka.cluster import cluster_of
    from metrify_assets.sources.kafka.lag import losses, stream_feeds, survey

    platform = platform_of_environment()
    lag = survey(platform, cluster_of(platform.settings))
    rows = [_row(partition) for partition in lag.partitions]
    lost = [_loss(loss) for loss in losses(platform.ledger, stream_feeds(platform.feeds))]
    if to_json:
        print_json({"lag": lag.lag, "partitions": rows, "losses": lost, "problems": lag.problems})
        return
    _show_table(rows)
    for loss in lost:
        click.echo(f"lost: {loss['offsets']} offsets from {loss['start']} of {loss['log']} (drop {loss['drop_id']})")
    for problem in lag.problems:
        click.echo(f"problem: {problem}")
    click.echo(f"{lag.lag} offsets of {len(rows)} partitions wait to be landed")


def _row(partition: PartitionLag) -> dict[str, Any]:
    """Return a partition; ``landed_up_to`` is the offset that is landed next, as ``high`` is the one written next."""
    values = (
        partition.feed.name,
        partition.log.topic,
        partition.log.partition,
        partition.end,
        partition.low,
        partition.high,
        partition.lag,
        stamp(partition.landed_at) if partition.landed_at else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _loss(loss: Loss) -> dict[str, Any]:
    held = loss.range
    return {"drop_id": loss.drop.drop_id, "log": str(held.log), "start": held.start, "offsets": len(held)}


def _show_table(rows: list[dict[str, Any]]) -> None:
    lines = [COLUMNS, *(tuple("-" if value is None else str(value) for value in row.values()) for row in rows)]
    for line in aligned(lines):
        click.echo(line)
