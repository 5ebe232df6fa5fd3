"""The asset graph as text: what a reviewer should see when it changes.

Belongs here: each asset with its group, partitions, pool, automation, owners and dependencies, each check, job, sensor,
schedule and resource. Does not belong here: what the assets compute (``utility.py``).
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from metrify_assets.orchestration.build import build_defs
from metrify_assets.settings import Settings

RECORDED = Path(__file__).with_name("graph.txt")


def describe(folder: Path) -> str:
    """Return the graph of an installation with every source that has no server behind it."""
    settings = Settings(
        root=folder,
        kafka_bootstrap="127.0.0.1:1",
        dwd_stations=("161",),
        smard_series=("410:50Hertz",),
        openweathermap_stations=("berlin:52.52:13.40",),
    )
    defs = build_defs(settings)
    return "\n".join([*_assets(defs), *_checks(defs), *_others(defs)]) + "\n"


def _assets(defs: dg.Definitions) -> list[str]:
    lines = []
    for node in sorted(defs.resolve_asset_graph().asset_nodes, key=lambda node: node.key):
        kind = "asset" if node.is_materializable else "source"
        partitions = type(node.partitions_def).__name__ if node.partitions_def else "no partitions"
        lines.append(f"{kind} {node.key.to_user_string()} | group {node.group_name} | {partitions}")
        lines += [f"    from {key.to_user_string()}" for key in sorted(node.parent_keys)]
    return lines


def _checks(defs: dg.Definitions) -> list[str]:
    graph = defs.resolve_asset_graph()
    lines = []
    for key in sorted(graph.asset_check_keys, key=lambda key: (key.asset_key, key.name)):
        days = graph.get(key).partitions_def
        partitions = type(days).__name__ if days else "no partitions"
        lines.append(f"check {key.asset_key.to_user_string()}: {key.name} | {partitions}")
    return lines


def _others(defs: dg.Definitions) -> list[str]:
    repository = defs.get_repository_def()
    jobs = [f"job {job.name}" for job in repository.get_all_jobs()]
    sensors = [f"sensor {sensor.name}" for sensor in repository.sensor_defs]
    schedules = [f"schedule {schedule.name}: {schedule.cron_schedule}" for schedule in repository.schedule_defs]
    resources = [f"resource {name}" for name in repository.get_top_level_resources()]
    return [line for lines in (jobs, sensors, schedules, resources) for line in sorted(lines)]
