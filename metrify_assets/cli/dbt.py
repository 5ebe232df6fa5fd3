"""``metrify dbt ...``: the manifest, the documentation of the marts, and what is generated of the dbt project."""

from __future__ import annotations

from pathlib import Path

import click

from metrify_assets.settings import Settings

HOLIDAY_YEARS = (1990, 2060)
"""Years of the seed with the holidays: from the earliest first day of an installation on."""


@click.group()
def dbt() -> None:
    """The dbt project behind the marts."""


@dbt.command("prepare")
def prepare() -> None:
    """Parse the dbt project for the code location: part of every deployment, with the variables of the installation."""
    from metrify_assets.warehouse.dbt import ensure_manifest

    click.echo(f"{ensure_manifest(Settings.from_env())}: ready")


@dbt.command("docs")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def docs(folder: Path) -> None:
    """Write the documentation of the marts into FOLDER, as one page that needs no server."""
    from metrify_assets.warehouse.dbt import write_docs

    page = write_docs(Settings.from_env(), folder)
    click.echo(f"{page}: open it in a browser")


@dbt.command("vars")
@click.option("--write", is_flag=True, help="Write them into the project, where runs and people read them.")
def print_vars(write: bool) -> None:
    """Print the thresholds of the typed configuration as the dbt project holds them (metrify_dbt/dbt_project.yml)."""
    from metrify_assets.warehouse.dbt_project import PROJECT_FILE, vars_block, write_vars

    if not write:
        click.echo(vars_block(), nl=False)
        return
    project = Settings.from_env().dbt_projects[0]
    state = "written" if write_vars(project) else "up to date"
    click.echo(f"{project / PROJECT_FILE}: {state}")


@dbt.command("holidays")
def holidays() -> None:
    """Print the seed with Germany's public holidays (metrify_dbt/seeds/german_holidays.csv)."""
    click.echo(holiday_seed(), nl=False)


def holiday_seed() -> str:
    """Return the holidays as the seed of the dbt project holds them."""
    from metrify_assets.reference.calendar import holiday_rows

    lines = ["day,holiday_name,is_nationwide,states"]
    for day, name, nationwide, states in holiday_rows(*HOLIDAY_YEARS):
        lines.append(f"{day},{name},{str(nationwide).lower()},{states}")
    return "\n".join(lines) + "\n"
