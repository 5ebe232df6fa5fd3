"""The weather service's open data (DWD Climate Data Center): zips of a station's last 500 days.

Belongs here: which zip holds a day, and the rows of that day. The zip is landed as it came; the drop is the lines of
the delivery day, byte for byte, under its header: a whole zip a day and station would make 500 days dirty every day.
Does not belong here: the products' columns (feeds ``dwd_*``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from metrify_assets.errors import PullError
from metrify_assets.feeds.formats.archives import members
from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.feeds.formats.files import first_line
from metrify_assets.feeds.formats.text_source import DelimitedSource
from metrify_assets.feeds.model import DelimitedWeather
from metrify_assets.feeds.values.stamps import OK, StampReader
from metrify_assets.platform import Platform
from metrify_assets.sources.http.client import HttpClient
from metrify_assets.sources.http.store import Fetched, fetch_landed, land, take_in
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_number

TYPES = ("application/zip", "application/octet-stream", "application/x-zip-compressed")


_AFTERWARDS = timedelta(days=550)
"""Rows of so long after a day show that it is over; a zip holds 500 days."""


@dataclass(frozen=True)
class Product:
    """A product of the weather service: the feed that reads it, the folder of its recent zips and their names."""

    feed: str
    folder: str
    archive: str


PRODUCTS = {
    "tu": Product("dwd_hourly_tu", "hourly/air_temperature/recent", "stundenwerte_TU_{station}_akt.zip"),
    "ff": Product("dwd_hourly_ff", "hourly/wind/recent", "stundenwerte_FF_{station}_akt.zip"),
    "rr": Product("dwd_hourly_rr", "hourly/precipitation/recent", "stundenwerte_RR_{station}_akt.zip"),
    "n": Product("dwd_hourly_n", "hourly/cloudiness/recent", "stundenwerte_N_{station}_akt.zip"),
    "st": Product("dwd_hourly_st", "hourly/solar", "stundenwerte_ST_{station}_row.zip"),
    "tu10": Product("dwd_10min_tu", "10_minutes/air_temperature/recent", "10minutenwerte_TU_{station}_akt.zip"),
    "ff10": Product("dwd_10min_ff", "10_minutes/wind/recent", "10minutenwerte_wind_{station}_akt.zip"),
    "rr10": Product("dwd_10min_rr", "10_minutes/precipitation/recent", "10minutenwerte_nieder_{station}_akt.zip"),
    "sd10": Product("dwd_10min_sd", "10_minutes/solar/recent", "10minutenwerte_SOLAR_{station}_akt.zip"),
}
"""Products by their short names, as in METRIFY_DWD_PRODUCTS."""


def series(platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield product and station of everything that is configured."""
    for product in platform.settings.dwd_products:
        if product not in PRODUCTS:
            products = ", ".join(PRODUCTS)
            raise PullError(f"METRIFY_DWD_PRODUCTS: {product!r} is no product: use some of {products}")
        for station in platform.settings.dwd_stations:
            yield product, station.zfill(5)


def pull(platform: Platform, client: HttpClient, day: date, product: str, station: str) -> Fetched:
    """Fetch a station's zip and take in the lines of a day."""
    declared = PRODUCTS[product]
    feed = platform.feed(declared.feed)
    if not isinstance(feed, DelimitedWeather):
        raise PullError(f"feed {feed.name} is no weather in delimited text: take the definition of Metrify")
    archive = declared.archive.format(station=station)
    url = f"{platform.settings.dwd_url.rstrip('/')}/{declared.folder}/{archive}"
    landed = fetch_landed(platform.store, client, feed, archive, url, TYPES, None)
    with platform.store.reading(landed) as path:
        lines, is_whole = lines_of_day(feed, path, archive, day, platform.settings.timezone)
    if not lines:
        raise PullError(f"{archive} has no row of {day}: try again later; for older days land the historical zip")
    name = feed.members.replace("*", f"{station}_{day}")
    drop = take_in(platform, feed, name, land(platform.store, feed, name, lines))
    more = (
        "" if is_whole else f"{archive} ends before {day} does: what it has is taken in, try again later for the rest"
    )
    return Fetched(f"{feed.name}/{name}", drop, more)


def lines_of_day(feed: DelimitedWeather, archive: Path, name: str, day: date, zone: str) -> tuple[bytes, bool]:
    """Return header and lines of a delivery day, byte for byte, empty if there are none; and whether the day is over.

    A station has gaps, so the number of lines does not say whether more will come; a line at the end of the day, or
    after it, does.

    Raises
    ------
    PullError
        If the archive is not what the feed declares.
    """
    stamps = StampReader(feed, zone, day, day + _AFTERWARDS, received_at=0, file_name=name)
    last_start = DeliveryDay(day, zone).end - (feed.constant_minutes or 0) * MICROSECONDS_PER_MINUTE
    lines: list[str] = []
    is_whole = False
    try:
        for product in members(archive, feed.members):
            if product.problem is not None:
                raise product.problem
            header = first_line(product.path)
            for chunk in DelimitedSource(feed, product.path).chunks():
                read = stamps.read(chunk)
                good = read.state[0] == OK
                is_whole |= bool((good & (read.start[0] >= last_start)).any())
                chosen = np.flatnonzero((good & (read.day[0] == day_number(day)))[read.codes])
                lines += chunk.payloads(chunk.row_numbers[chosen])
    except UnreadableFile as problem:
        raise PullError(f"{name}: {problem.detail}: look at it, the bytes are landed") from problem
    if not lines:
        return b"", False
    return b"\n".join([header, *(line.encode(feed.encoding) for line in lines), b""]), is_whole
