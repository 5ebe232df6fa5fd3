"""SMARD's JSON interface (Bundesnetzagentur): one document per series and week, weeks begin on Monday at midnight.

Belongs here: address and file name of the week that holds a day. A later fetch of the same week replaces the earlier.
Does not belong here: what the numbers mean (feed ``smard_chart``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from metrify_assets.errors import PullError
from metrify_assets.platform import Platform
from metrify_assets.sources.http.client import HttpClient
from metrify_assets.sources.http.store import Fetched, fetch_landed, take_in
from metrify_assets.vee.delivery_day import DeliveryDay

FEED = "smard_chart"
TYPES = ("application/json", "text/json")
ZONE = "Europe/Berlin"
RESOLUTIONS = ("hour", "quarterhour")


def series(platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield number and area of every configured series."""
    for text in platform.settings.smard_series:
        number, colon, area = text.partition(":")
        if not (colon and number.isdecimal() and area):
            raise PullError(f"METRIFY_SMARD_SERIES: {text!r} is no series: write them as 410:50Hertz,4068:DE")
        yield number, area


def pull(platform: Platform, client: HttpClient, day: date, number: str, area: str) -> Fetched:
    """Fetch the week of a day and take it in."""
    settings = platform.settings
    monday = day - timedelta(days=day.weekday())
    milliseconds = DeliveryDay(monday, ZONE).start // 1_000
    document = f"{number}_{area}_{settings.smard_resolution}_{milliseconds}.json"
    url = f"{settings.smard_url.rstrip('/')}/{number}/{area}/{document}"
    feed = platform.feed(FEED)
    landed = fetch_landed(platform.store, client, feed, document, url, TYPES, None)
    name = f"smard_{number}_{area}_{settings.smard_resolution}_{monday}.json"
    return Fetched(f"{feed.name}/{name}", take_in(platform, feed, name, landed))
