"""External assets: where the lineage starts.

Belongs here: things that others write and Metrify reads.
"""

from __future__ import annotations

import dagster as dg

from metrify_assets.orchestration.assets.pulled import DESCRIPTIONS, asset_name

LANDING_ZONE = "landing_zone"
METER_STREAM = "meter_stream"


def source_assets() -> list[dg.AssetSpec]:
    """Return the landing zone and the stream."""
    return [
        dg.AssetSpec(
            LANDING_ZONE,
            group_name="sources",
            kinds={"file"},
            owners=["team:metering"],
            deps=[asset_name(source) for source in DESCRIPTIONS],
            description="Files that senders put into `inbox/<feed>/`; each is copied once to `landing/`, named by its "
            "content. The `drops` sensor sees them.",
        ),
        dg.AssetSpec(
            METER_STREAM,
            group_name="sources",
            kinds={"kafka"},
            owners=["team:metering"],
            description="Meter reads as Kafka topics, where the lineage of streamed reads starts: a range of offsets "
            "is a drop like any file, written to the landing zone first. The `stream` sensor sees what is new, where "
            "METRIFY_KAFKA_BOOTSTRAP names a broker.",
        ),
    ]
