"""OpenWeatherMap's history of a place: one document per place and delivery day.

Belongs here: address and file name of a day, and the key from the environment. Does not belong here: what the numbers
mean (feed ``openweathermap_history``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from urllib.parse import urlencode

from metrify_assets.errors import PullError
from metrify_assets.platform import Platform
from metrify_assets.sources.http.client import HttpClient, Key
from metrify_assets.sources.http.store import Fetched, fetch_landed, take_in
from metrify_assets.vee.delivery_day import DeliveryDay

FEED = "openweathermap_history"
TYPES = ("application/json",)
KEY_VARIABLE = "METRIFY_OPENWEATHERMAP_KEY"
_PLACE = re.compile(r"(?P<place>[a-z][a-z-]*):(?P<lat>-?[0-9]+(?:\.[0-9]+)?):(?P<lon>-?[0-9]+(?:\.[0-9]+)?)")
_HOUR = 3_600
_MICROSECONDS = 1_000_000


def series(platform: Platform) -> Iterator[tuple[str, str, str]]:
    """Yield name, latitude and longitude of every configured place."""
    for text in platform.settings.openweathermap_stations:
        match = _PLACE.fullmatch(text)
        if match is None:
            raise PullError(f"METRIFY_OPENWEATHERMAP_STATIONS: {text!r} is no place: write berlin:52.52:13.40")
        yield match["place"], match["lat"], match["lon"]


def pull(platform: Platform, client: HttpClient, day: date, place: str, lat: str, lon: str) -> Fetched:
    """Fetch the hours of a day and take them in."""
    value = os.environ.get(KEY_VARIABLE, "").strip()
    if not value:
        raise PullError(f"{KEY_VARIABLE} is not set: set it to the key of your OpenWeatherMap account")
    window = DeliveryDay(day, platform.settings.timezone)
    query = {
        "lat": lat,
        "lon": lon,
        "type": "hour",
        "start": window.start // _MICROSECONDS,
        "end": window.end // _MICROSECONDS - _HOUR,
    }
    url = f"{platform.settings.openweathermap_url}?{urlencode(query)}"
    feed = platform.feed(FEED)
    name = f"history_{place}_{day}.json"
    key = Key("appid", value, KEY_VARIABLE)
    landed = fetch_landed(platform.store, client, feed, name, url, TYPES, key)
    return Fetched(f"{feed.name}/{name}", take_in(platform, feed, name, landed))
