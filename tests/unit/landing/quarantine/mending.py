"""Files with rows that the tests' feed ``plain`` refuses, and the definition that would read them."""

from __future__ import annotations

from tests.workbench import Workbench

BLANKS = (
    b"point,start,kwh\n"
    b"A,2026-03-28T00:00:00Z,1\n"
    b"A,2026-03-28T01:00:00Z,-\n"  # refused, until `-` is declared to mean that there is no value
    b"\n"
    b"A,2026-03-28T02:00:00Z,-\n"
    b"A,2026-03-29T02:00:00Z,3\n"
    b"A,never,4\n"  # refused whatever is declared
)
"""Six rows: three read, two with a bad number, one with a bad stamp."""


def redefine(bench: Workbench, old: str, new: str, feed: str = "plain") -> None:
    """Change a feed's definition."""
    path = bench.platform.settings.feeds_dir / f"{feed}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    bench.platform.__dict__.pop("feeds", None)


def mend(bench: Workbench, feed: str = "plain") -> None:
    """Declare that ``-`` means that there is no value."""
    redefine(bench, "unit: kWh", "unit: kWh\nsentinels: ['-']", feed)
