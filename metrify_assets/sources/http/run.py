"""Pulling a day of a source: every series of it, one after the other.

Belongs here: the sources by name, and that the failure of one series does not lose the others. Does not belong here:
the sources themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from metrify_assets.drops.ledger import Drop
from metrify_assets.errors import PullError
from metrify_assets.platform import Platform
from metrify_assets.sources.http import dwd, openweathermap, smard
from metrify_assets.sources.http.client import HttpClient
from metrify_assets.sources.http.store import Fetched


@dataclass(frozen=True)
class Source:
    """A source: its series as configured, how one of them is pulled, and the setting that names them."""

    series: Callable[[Platform], Iterator[tuple[str, ...]]]
    pull: Callable[..., Fetched]
    setting: str


SOURCES = {
    "dwd": Source(dwd.series, dwd.pull, "dwd_stations"),
    "smard": Source(smard.series, smard.pull, "smard_series"),
    "openweathermap": Source(openweathermap.series, openweathermap.pull, "openweathermap_stations"),
}


@dataclass
class Pulled:
    """What became of a day of a source: files by state, one line per series that failed, and the new drops."""

    source: str
    day: date
    landed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {name: value for name, value in vars(self).items() if name != "drops"}

    def raise_if_failed(self) -> None:
        """Raise ``PullError`` that names what failed; what was landed stays."""
        if self.failed:
            whole = len(self.landed) + len(self.unchanged) + len(self.failed)
            raise PullError(f"{len(self.failed)} of {whole} were not pulled: {'; '.join(self.failed[:3])}")


def pull_day(platform: Platform, source: str, day: date, client: HttpClient | None = None) -> Pulled:
    """Pull a day of a source and take it in. Doing it again changes nothing.

    Raises
    ------
    PullError
        If there is no such source, or nothing is configured for it.
    """
    if source not in SOURCES:
        raise PullError(f"unknown source {source!r}: use one of {', '.join(SOURCES)}")
    declared = SOURCES[source]
    wanted = list(declared.series(platform))
    if not wanted:
        raise PullError(f"nothing to pull from {source}: set METRIFY_{declared.setting.upper()}")
    client = client or HttpClient()
    pulled = Pulled(source, day)
    for series in wanted:
        try:
            fetched = declared.pull(platform, client, day, *series)
        except PullError as error:
            pulled.failed.append(f"{' '.join(series)}: {error}")
            continue
        if fetched.drop:
            pulled.drops.append(fetched.drop)
        if fetched.unfinished:
            pulled.failed.append(f"{' '.join(series)}: {fetched.unfinished}")
        else:
            (pulled.landed if fetched.drop else pulled.unchanged).append(fetched.name)
    return pulled
