"""``metrify history ...``: Dagster's history of runs."""

from __future__ import annotations

from dataclasses import asdict

import click

from metrify_assets.cli.common import as_json, print_json
from metrify_assets.errors import RunError
from metrify_assets.settings import EventLog, Settings


@click.group()
def history() -> None:
    """Dagster's history of runs, where it lies in SQLite."""


@history.command("unpack")
@as_json
def unpack(to_json: bool) -> None:
    """Write packed events back as Dagster's own storage reads them, such as before another storage takes over."""
    from metrify_assets.orchestration.event_unpacking import unpack_history
    from metrify_assets.orchestration.home import daemon_is_alive

    settings = Settings.from_env()
    if not settings.event_logs.is_dir():
        raise RunError(f"{settings.event_logs} does not exist, there is no history to unpack: check METRIFY_ROOT")
    if daemon_is_alive(settings):
        raise RunError(f"a Dagster daemon works on {settings.root}: stop it (`metrify dev`), then unpack")
    done = unpack_history(settings.event_logs)
    if to_json:
        print_json(asdict(done))
        return
    click.echo(f"{done.events} events unpacked in {done.files} files; Dagster's own storage reads all of them")
    if settings.event_log is EventLog.PACKED:
        click.echo("New events are packed again: set METRIFY_EVENT_LOG=stock to keep them as text")
