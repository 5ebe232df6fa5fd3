"""``metrify rules ...``: the validation rules, and a rule book before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metrify_assets.cli.common import as_json, day_of, platform_of_environment, print_json
from metrify_assets.errors import SettingsError


@click.group()
def rules() -> None:
    """The validation rules."""


@rules.command("list")
@click.option("--day", default="today", show_default=True, help="Delivery day whose rules are shown.")
@click.option("--feed", "feed_name", help="Feed of the series.")
@click.option("--point-class", help="Class of the point, such as household.")
@as_json
def list_rules(day: str, feed_name: str | None, point_class: str | None, to_json: bool) -> None:
    """List every rule: what it finds, what a finding does, its parameters and where it comes from."""
    from metrify_assets.reference.rule_books import rule_book
    from metrify_assets.reference.rule_plugins import installed_rules
    from metrify_assets.vee.rulebook import RULES, severity_of

    platform = platform_of_environment()
    chosen = platform.today if day == "today" else day_of(day)
    edition = rule_book(platform.settings).on(chosen)
    rule_set = edition.for_series(feed_name, point_class)
    records: list[dict[str, Any]] = [
        {
            "name": rule.name,
            "severity": str(severity_of(rule.name, rule_set)),
            "definition": rule.definition,
            "parameters": {name: getattr(rule_set, name) for name in rule.parameters},
            "source": rule.source,
        }
        for rule in RULES
    ]
    records += [
        {
            "name": own.name,
            "severity": str(severity_of(own.name, rule_set)),
            "definition": own.definition,
            "parameters": {},
            "source": own.source or f"another package, version {own.version}",
        }
        for own in installed_rules().values()
    ]
    if to_json:
        print_json({"version": edition.version, "digest": edition.digest, "day": chosen, "rules": records})
        return
    click.echo(f"rule book {edition.version} on {chosen}")
    for record in records:
        parameters = ", ".join(f"{name}={value}" for name, value in record["parameters"].items())
        click.echo(f"\n{record['name']} ({record['severity']}): {record['definition']}")
        click.echo(f"    source: {record['source']}" + (f"; {parameters}" if parameters else ""))


@rules.command("markdown")
def markdown() -> None:
    """Print the page that documents the rules (docs/rules.md)."""
    click.echo(rules_page(), nl=False)


def rules_page() -> str:
    """Return the documentation of all rules with their built-in parameters, as Markdown."""
    from metrify_assets.vee.parameters import EstimationParameters, RuleSet
    from metrify_assets.vee.rulebook import RULES

    defaults = RuleSet()
    lines = [
        "# Validation rules",
        "",
        "Made by `metrify rules markdown` from the list in `metrify_assets/vee/rulebook.py`. What a finding does:",
        "`info` is counted; `warn` is counted and flagged; `block`: the value may not stand, it is kept as",
        "`delivered_kwh` and estimated; `quarantine`: it never competes for its slot, it is kept and counted. A rule",
        "book (`METRIFY_RULES_FILE`, see `metrify_assets/reference/rules.yaml`) changes severities and parameters from",
        "a day on, for all, for a feed or for a class of points.",
        "",
        "| rule | a finding is | severity | may be | parameters | source |",
        "|---|---|---|---|---|---|",
    ]
    for rule in RULES:
        parameters = ", ".join(f"`{name}` = {getattr(defaults, name)}" for name in rule.parameters)
        choices = ", ".join(rule.choices) or "-"
        cells = (rule.name, rule.definition, rule.severity, choices, parameters or "-", rule.source)
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    lines += ["", "## Parameters of the estimation cascade", "", "| parameter | default |", "|---|---|"]
    estimation = EstimationParameters()
    for name in EstimationParameters.__dataclass_fields__:
        if name != "version":
            lines.append(f"| `{name}` | {getattr(estimation, name)} |")
    return "\n".join(lines) + "\n"


@rules.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def check(file: Path, to_json: bool) -> None:
    """Check a rule book before METRIFY_RULES_FILE names it."""
    from metrify_assets.reference.rule_books import parse_rule_book

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    book = parse_rule_book(text, file.name)
    editions = [{"version": edition.version, "valid_from": start} for start, edition in book.editions]
    if to_json:
        print_json(editions)
        return
    for edition in editions:
        click.echo(f"{edition['version']} holds from {edition['valid_from']} on")
