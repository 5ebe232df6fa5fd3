"""Some small assets, and jobs of them to run.

``python -m tests.unit.orchestration.foreground_jobs ROOT JOB [--verbose]`` runs one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import dagster as dg

from metrify_assets.errors import RunError
from metrify_assets.orchestration import build, home
from metrify_assets.orchestration.foreground import run_job
from metrify_assets.settings import Settings


@dg.asset
def quiet_asset(context) -> None:
    context.log.info("a line of the asset's log")
    print("a line on standard output")
    # As a child process writes, past Python's objects.
    os.write(1, b"a line past Python\n")


@dg.asset(deps=[quiet_asset])
def refused_asset() -> None:
    raise dg.Failure("two things\nare wrong", allow_retries=False)


@dg.asset
def broken_asset() -> None:
    raise ValueError("no " + "x" * 400)


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def trying_asset(context) -> None:
    if context.retry_number == 0:
        raise ValueError("not yet")


JOBS = {
    "good": [quiet_asset],
    "refused": [quiet_asset, refused_asset],
    "broken": [broken_asset],
    "trying": [trying_asset],
}


def definitions(_: Settings) -> dg.Definitions:
    return dg.Definitions(
        assets=[quiet_asset, refused_asset, broken_asset, trying_asset],
        jobs=[dg.define_asset_job(name, selection=assets) for name, assets in JOBS.items()],
        executor=dg.in_process_executor,
    )


def prepare_home(settings: Settings) -> dict[str, str]:
    settings.dagster_home.mkdir(exist_ok=True)
    (settings.dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return {}


if __name__ == "__main__":
    build.build_defs, home.prepare_home = definitions, prepare_home
    try:
        print(run_job(Settings(root=Path(sys.argv[1])), sys.argv[2], verbose="--verbose" in sys.argv))
    except RunError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
