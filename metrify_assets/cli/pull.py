"""``metrify pull``: a day of a source from its server into the raw tables."""

from __future__ import annotations

import click

from metrify_assets.cli.common import as_json, day_of, platform_of_environment, print_json


@click.command()
@click.argument("source")
@click.option("--day", "day_text", required=True, help="Delivery day, such as 2026-03-29.")
@as_json
def pull(source: str, day_text: str, to_json: bool) -> None:
    """Fetch a day of SOURCE (dwd, smard, openweathermap) and read it; its day is computed while `metrify dev` runs."""
    from metrify_assets.landing.setup import set_up
    from metrify_assets.orchestration.raw_day_events import report_raw_day_events
    from metrify_assets.sources.http.run import pull_day

    platform = platform_of_environment()
    set_up(platform)
    pulled = pull_day(platform, source, day_of(day_text))
    report_raw_day_events(platform)
    if to_json:
        print_json(pulled.as_record())
    else:
        for state, names in (("landed", pulled.landed), ("unchanged", pulled.unchanged)):
            for name in names:
                click.echo(f"{state:9}  {name}")
    pulled.raise_if_failed()
