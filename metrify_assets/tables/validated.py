"""``validated_readings`` of a day: raw rows on the grid, the version chosen, the rules that fired."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta

import numpy as np

from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import VALIDATED_READINGS
from metrify_assets.tables import raw
from metrify_assets.tables.day import DayResult, ShardResult, compute_day
from metrify_assets.tables.digests import RULES, Digests
from metrify_assets.tables.grids import validated_table
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.validate import validate_shard


def compute_validated(platform: Platform, day: date, digests: Digests, *, force: bool = False) -> DayResult:
    """Compute and publish the stale shards of one day."""

    def compute_shard(number: int) -> ShardResult:
        inputs = {name: digests.current(name, number) for name in (f"raw_readings@{day}", f"points@{day}", "rules")}
        series = digests.registry.series(day, number)
        rows = raw.read_shard(platform, digests.view, day, number, series)
        following = None
        if rows.deliveries.is_register.any():
            # The last interval of a day is closed by the register read at the first instant of the next.
            after = day + timedelta(days=1)
            name = f"raw_readings@{after}"
            inputs[name] = digests.current(name, number)
            following = raw.opening_registers(platform, digests.view, after, number, series)
        grids, tally = validate_shard(
            DeliveryDay(day, platform.settings.timezone), series, rows.deliveries, following, RULES
        )
        numbers = {
            "tally": asdict(tally),
            "rules": {
                flag.name.lower(): int(sum(np.count_nonzero(grid.flags & flag) for grid in grids)) for flag in Flag
            },
            # Counted from the ledger, not from what was read: the other side of the conservation identity.
            "raw_rows": sum(
                part.rows.get(str(number), 0)
                for drop in digests.view.drops_of("raw_readings", day)
                for part in drop.parts[day.isoformat()]
            ),
            "slots": int(sum(grid.flags.size for grid in grids)),
            "points": len(set(series.point_id.tolist())),
            "unassigned_examples": list(rows.unassigned_examples),
        }
        return ShardResult(validated_table(day, series, grids), inputs, numbers)

    return compute_day(platform, VALIDATED_READINGS, day, digests, compute_shard, force=force)
