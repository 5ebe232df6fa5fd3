"""The command line: ``metrify ...``.

Belongs here: arguments, messages and exit codes. Exit 0 only if the work is done; an error is one line on stderr that
says what to do; ``--json`` prints a machine-readable result. Does not belong here: the work itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from metrify_assets.cli.as_known import as_known
from metrify_assets.cli.bridge import bridge
from metrify_assets.cli.common import aligned, as_json, day_of, platform_of_environment, print_json, stamp, with_logs
from metrify_assets.cli.dbt import dbt
from metrify_assets.cli.edits import edit
from metrify_assets.cli.explain import explain
from metrify_assets.cli.first_day import first_day
from metrify_assets.cli.history import history
from metrify_assets.cli.init import init
from metrify_assets.cli.periods import corrections, period
from metrify_assets.cli.pull import pull
from metrify_assets.cli.quarantine import quarantine
from metrify_assets.cli.query import publish, query
from metrify_assets.cli.rules import rules
from metrify_assets.cli.score import score
from metrify_assets.cli.streams import streams
from metrify_assets.cli.tariffs import tariffs
from metrify_assets.errors import MetrifyError, escaped
from metrify_assets.settings import Settings, read_env_file

if TYPE_CHECKING:
    from metrify_assets.drops.ledger import Drop, LedgerView


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="metrify", prog_name="metrify")
def cli() -> None:
    """Metrify: meter reads in, billing-grade intervals and marts out."""


def main() -> None:
    """Run the command line; turn errors meant for people into one line."""
    try:
        read_env_file(Path(".env"))
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except MetrifyError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'this machine'}: {error.strerror or error}: correct that and try again")


def _fail(message: str, code: int = 1) -> NoReturn:
    """Say in one line what went wrong, and exit."""
    print(f"metrify: {escaped(message)}", file=sys.stderr)
    sys.exit(code)


DEMO_POWER_QUALITY = 4
"""Points of the demo that deliver power quality."""


@cli.command()
@click.option("--points", type=click.IntRange(4, 1_000_000), default=200, show_default=True)
@click.option("--days", type=click.IntRange(1, 400), default=35, show_default=True)
@click.option("--seed", type=int, default=20260301, show_default=True)
@as_json
def demo(points: int, days: int, seed: int, to_json: bool) -> None:
    """Simulate a utility and run the main job on it."""
    from rich.console import Console

    from metrify_assets.orchestration.demo import run_demo, show
    from metrify_assets.simulator.plan import SimulationPlan

    settings = Settings.from_env()
    console = Console(stderr=to_json)
    plan = SimulationPlan(points=points, days=days, seed=seed, power_quality_points=min(points, DEMO_POWER_QUALITY))
    outcome = run_demo(settings, plan, console)
    if to_json:
        print_json({**outcome.overview.as_record(), "changed": outcome.changed, "seconds": outcome.seconds})
    else:
        show(outcome, settings, console)
    if outcome.overview.checks["failed"]:
        raise MetrifyError("some checks failed: look at them with `make dev`, page Asset checks")


@cli.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=3000, show_default=True)
def dev(port: int) -> None:
    """Open the Dagster UI on 127.0.0.1."""
    from metrify_assets.orchestration.home import run_ui

    sys.exit(run_ui(Settings.from_env(), port))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--feed", "feed_name", required=True, help="Name of the feed.")
@as_json
def land(file: Path, feed_name: str, to_json: bool) -> None:
    """Put FILE into the inbox; the drops sensor takes it from there."""
    from metrify_assets.landing.setup import set_up

    platform = platform_of_environment()
    set_up(platform)
    target = platform.inbox.put(platform.feed(feed_name), file)
    if to_json:
        print_json({"feed": feed_name, "path": target})
    else:
        click.echo(f"{target}: the drops sensor reads it within seconds while `metrify dev` runs")


@cli.group()
def feed() -> None:
    """What can arrive, and how it is read."""


@feed.command("list")
@as_json
def feed_list(to_json: bool) -> None:
    """List the feeds, and the definitions that cannot be read."""
    from metrify_assets.feeds.catalogue import broken_feeds

    feeds = platform_of_environment().feeds
    if to_json:
        listed = {name: feed.model_dump(mode="json") for name, feed in feeds.items()}
        print_json(listed | {name: {"broken": problem} for name, problem in broken_feeds(feeds).items()})
        return
    lines = [(name, feed.kind, feed.format, feed.files, feed.description) for name, feed in sorted(feeds.items())]
    for line in aligned(lines):
        click.echo(escaped(line))
    for name, problem in feeds.broken.items():
        click.echo(f"BROKEN {escaped(name)}: {escaped(problem)}")


@feed.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--feed", "feed_name", required=True, help="Name of the feed.")
@click.option("--rows", type=click.IntRange(0, 1_000), default=5, show_default=True, help="Rows to show of each kind.")
@as_json
def feed_check(file: Path, feed_name: str, rows: int, to_json: bool) -> None:
    """Show what would be read from FILE and what rejected, without landing it."""
    from functools import partial

    from metrify_assets.landing.preview import preview
    from metrify_assets.registry.registries import registered_values

    platform = platform_of_environment()
    checked = preview(platform, platform.feed(feed_name), file, rows, partial(registered_values, platform))
    if to_json:
        print_json(checked.as_record())
    else:
        click.echo(checked.as_text())
    if checked.name_problem is not None:
        raise MetrifyError(checked.name_problem)
    if checked.counts["quarantined_values"] or checked.counts["quarantined_rows"]:
        raise MetrifyError(
            f"{checked.counts['quarantined_rows']} rows would be quarantined: correct the file or the feed definition"
        )


@feed.command("schema")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="File to write it to.")
def feed_schema(write: Path | None) -> None:
    """Print the JSON schema of feed definitions, by which an editor completes and checks them."""
    import json

    from metrify_assets.feeds.model import feed_schema as schema_of_feeds

    text = json.dumps(schema_of_feeds(), indent=2, ensure_ascii=False)
    if write is None:
        click.echo(text)
    else:
        write.write_text(text + "\n", encoding="utf-8")
        click.echo(f"{write}: begin a definition with `# yaml-language-server: $schema={write.name}`")


@cli.group()
def drop() -> None:
    """What has arrived."""


@drop.command("list")
@click.option("--feed", "feed_name", help="Only drops of this feed.")
@as_json
def drop_list(feed_name: str | None, to_json: bool) -> None:
    """List the drops, latest first."""
    platform = platform_of_environment()
    if feed_name:
        platform.feed(feed_name)
    view = platform.ledger.view()
    drops = sorted(view.drops.values(), key=lambda drop: (-drop.received_at, drop.feed, drop.name))
    chosen = [drop for drop in drops if feed_name in (None, drop.feed)]
    if to_json:
        print_json([_drop_record(view, drop) for drop in chosen])
        return
    if not chosen:
        click.echo("no drops yet: put a file into the inbox with `metrify land FILE --feed NAME`")
    for drop in chosen:
        days = f"{drop.days[0]}..{drop.days[-1]}" if drop.days else "-"
        click.echo(
            f"{drop.drop_id:18} {view.state(drop):9} {stamp(drop.received_at)}  {drop.label}  {drop.account}, {days}"
        )


@drop.command("show")
@click.argument("drop_id")
@as_json
def drop_show(drop_id: str, to_json: bool) -> None:
    """Show one drop: what it delivered and what became of it."""
    view = platform_of_environment().ledger.view()
    record = _drop_record(view, view.find(drop_id))
    if to_json:
        print_json(record)
        return
    for name, value in record.items():
        click.echo(f"{name:20} {escaped(str(value))}")


@drop.command("reread")
@as_json
def drop_reread(to_json: bool) -> None:
    """Read every drop again whose feed definition, or the first day, has changed since."""
    from metrify_assets.landing.ingest import outdated, read_again
    from metrify_assets.orchestration.raw_day_events import report_raw_day_events

    platform = platform_of_environment()
    again = [read_again(platform, drop) for drop in outdated(platform)]
    report_raw_day_events(platform)
    if to_json:
        print_json([_drop_record(platform.ledger.view(), drop) for drop in again])
        return
    for drop in again:
        click.echo(f"{drop.drop_id:18} {drop.label}: {drop.account}")
    click.echo(f"{len(again)} drops read again; days that changed are dirty now")


@drop.command("withdraw")
@click.argument("drop_id")
@click.option("--reason", required=True, help="Why the drop must not count.")
@as_json
def drop_withdraw(drop_id: str, reason: str, to_json: bool) -> None:
    """Take a drop out of the selection: its values leave the tables, its record and bytes stay."""
    from metrify_assets.orchestration.raw_day_events import report_raw_day_events

    platform = platform_of_environment()
    drop = platform.ledger.view().find(drop_id)
    platform.ledger.withdraw(drop, reason)
    report_raw_day_events(platform)
    if to_json:
        print_json(_drop_record(platform.ledger.view(), drop))
    else:
        click.echo(f"{drop.drop_id} ({drop.label}) is withdrawn; its {len(drop.days)} days are dirty now")


def _drop_record(view: LedgerView, drop: Drop) -> dict[str, Any]:
    withdrawal = view.withdrawals.get((drop.feed, drop.drop_id))
    return {
        "drop_id": drop.drop_id,
        "feed": drop.feed,
        "name": drop.name,
        "state": view.state(drop),
        "received_at": stamp(drop.received_at),
        "ingested_at": stamp(drop.ingested_at),
        "size": drop.size,
        "landed": drop.landed,
        "first_day": drop.days[0] if drop.days else None,
        "last_day": drop.days[-1] if drop.days else None,
        "days": len(drop.days),
        **drop.counts,
        "quarantine": drop.quarantine or None,
        "withdrawn": withdrawal.reason if withdrawal else None,
    }


@cli.command()
@click.argument("first")
@click.argument("last", required=False)
@with_logs
@as_json
def recompute(first: str, last: str | None, verbose: bool, to_json: bool) -> None:
    """Compute a day, or the days FIRST to LAST in one run, from raw readings to the marts."""
    from metrify_assets.orchestration.recompute import recompute_days

    first_day = day_of(first)
    last_day = day_of(last) if last else first_day
    run_id = recompute_days(Settings.from_env(), first_day, last_day, verbose=verbose)
    if to_json:
        print_json({"run_id": run_id, "first": first_day, "last": last_day})
    else:
        click.echo(f"{first_day} to {last_day} computed (run {run_id})")


for command in (
    as_known,
    bridge,
    period,
    corrections,
    dbt,
    edit,
    explain,
    first_day,
    history,
    init,
    publish,
    pull,
    quarantine,
    query,
    rules,
    score,
    streams,
    tariffs,
):
    cli.add_command(command)


if __name__ == "__main__":
    main()
