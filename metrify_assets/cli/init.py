"""``metrify init``: a utility's own project, which takes Metrify as a package.

Belongs here: writing the files of ``project/`` with the names of the new project in them. Does not belong here: their
content.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from string import Template

import click

from metrify_assets.errors import OutputError

TEMPLATES = Path(__file__).parent / "project"
SUFFIX = ".tmpl"
DOTTED = {"env": ".env", "gitignore": ".gitignore"}
"""Templates whose files begin with a dot."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a project of your own in FOLDER: settings, feeds, rules, registries, assets, dbt models and tests."""
    make_project(folder)
    click.echo(f"{folder}: made; go there and read README.md, or type `metrify demo`")


def make_project(folder: Path) -> None:
    """Write a new project.

    Raises
    ------
    OutputError
        If something lies in the folder already, or its name holds no letter that a package's name could begin with.
    """
    from metrify_assets.reference.rule_books import BUILT_IN as RULE_BOOK

    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is not empty: name a folder that is new or empty")
    names = _names(folder.name)
    for template in sorted(TEMPLATES.rglob(f"*{SUFFIX}")):
        relative = template.relative_to(TEMPLATES)
        file = relative.name.removesuffix(SUFFIX)
        parts = (names["package"] if part == "package" else part for part in relative.parent.parts)
        target = folder.joinpath(*parts, DOTTED.get(file, file))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text(encoding="utf-8")).substitute(names), encoding="utf-8")
    shutil.copyfile(RULE_BOOK, folder / "rules.yaml")


def _names(text: str) -> dict[str, str]:
    """Return the names of a project by that of its folder."""
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if not words[:1].isalpha():
        raise OutputError(f"{text!r} cannot name a package: call the folder by a name that begins with a letter")
    # No name of a package that is installed, such as `metrify`.
    return {"package": f"{words}_platform", "distribution": f"{words.replace('_', '-')}-platform", "title": text}
