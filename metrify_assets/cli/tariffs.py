"""``metrify tariffs``: tariffs of the installation."""

from __future__ import annotations

from pathlib import Path

import click

from metrify_assets.cli.common import aligned, as_json, print_json
from metrify_assets.errors import escaped


@click.group()
def tariffs() -> None:
    """Tariffs, and which points have them."""


@tariffs.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def check(file: Path, to_json: bool) -> None:
    """Check a file of tariffs and its assignments before METRIFY_TARIFFS_FILE names it."""
    from metrify_assets.analytics.tariffs.inputs import read_tariffs

    files = read_tariffs(file)
    points = {
        name: sum(any(each.tariff == name for each in assigned) for assigned in files.assignments.values())
        for name in {tariff.name for tariff in files.book.tariffs}
    }
    if to_json:
        print_json(
            [
                {
                    "name": tariff.name,
                    "valid_from": tariff.valid_from,
                    "valid_to": tariff.valid_to,
                    "currency": tariff.currency,
                    "direction": tariff.direction,
                    "components": [component.name for component in tariff.components],
                    "points": points[tariff.name],
                }
                for tariff in files.book.tariffs
            ]
        )
        return
    lines = [
        (
            tariff.name,
            f"{tariff.valid_from} to {tariff.valid_to or '-'}",
            f"{points[tariff.name]} points",
            ", ".join(f"{component.name} ({component.kind})" for component in tariff.components),
        )
        for tariff in files.book.tariffs
    ]
    for line in aligned(lines):
        click.echo(escaped(line))
