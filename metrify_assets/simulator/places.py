"""Where the utility is: vendors and their control areas, towns, grid operators, weather stations.

Belongs here: fixed facts of the simulated map. Coordinates and postcodes are those of real towns; operators and
stations are made up, so that nobody takes simulated data for theirs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Town:
    """A town with points: name, postcode, federal state, coordinates in degrees."""

    name: str
    postcode: str
    federal_state: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Vendor:
    """A meter data vendor, which serves one control area and delivers in a format of its own.

    ``operator_code`` is the six-character part of its measuring locations; ``delivery_offset_minutes`` is how long
    after the first vendor its file arrives.
    """

    feed: str
    file_stem: str
    control_area: str
    operator_id: str
    operator_name: str
    operator_code: str
    delivery_offset_minutes: int
    towns: tuple[Town, ...]


@dataclass(frozen=True)
class Station:
    """A weather station: coordinates in degrees, altitude in m."""

    station_id: str
    name: str
    latitude: float
    longitude: float
    altitude_m: float
    control_area: str


VENDORS = (
    Vendor(
        *("meters_north", "north", "TenneT", "dso-nord", "Netz Nord (simulated)", "900101", 0),
        (
            Town("Kiel", "24103", "SH", 54.323, 10.139),
            Town("Hannover", "30159", "NI", 52.372, 9.735),
            Town("Oldenburg", "26121", "NI", 53.144, 8.214),
        ),
    ),
    Vendor(
        *("meters_south", "south", "TransnetBW", "dso-sued", "Netz Süd (simulated)", "900202", 12),
        (
            Town("Stuttgart", "70173", "BW", 48.776, 9.183),
            Town("Karlsruhe", "76133", "BW", 49.009, 8.404),
            Town("Freiburg", "79098", "BW", 47.996, 7.849),
        ),
    ),
    Vendor(
        *("meters_west", "west", "Amprion", "dso-west", "Netz West (simulated)", "900303", 25),
        (
            Town("Köln", "50667", "NW", 50.938, 6.957),
            Town("Dortmund", "44135", "NW", 51.514, 7.465),
            Town("Saarbrücken", "66111", "SL", 49.234, 6.996),
        ),
    ),
    Vendor(
        *("meters_east", "east", "50Hertz", "dso-ost", "Netz Ost (simulated)", "900404", 40),
        (
            Town("Berlin", "10115", "BE", 52.532, 13.384),
            Town("Leipzig", "04109", "SN", 51.340, 12.375),
            Town("Rostock", "18055", "MV", 54.088, 12.140),
        ),
    ),
)

STATIONS = (
    Station("SIM-KIEL", "Kiel (simulated)", 54.378, 10.142, 27.0, "TenneT"),
    Station("SIM-HANNOVER", "Hannover (simulated)", 52.464, 9.678, 55.0, "TenneT"),
    Station("SIM-STUTTGART", "Stuttgart (simulated)", 48.688, 9.224, 371.0, "TransnetBW"),
    Station("SIM-KOELN", "Köln (simulated)", 50.865, 7.158, 92.0, "Amprion"),
    Station("SIM-BERLIN", "Berlin (simulated)", 52.381, 13.531, 46.0, "50Hertz"),
    Station("SIM-LEIPZIG", "Leipzig (simulated)", 51.435, 12.240, 131.0, "50Hertz"),
)

TRANSMISSION_OPERATORS = {
    "50Hertz": "tso-50hertz",
    "Amprion": "tso-amprion",
    "TenneT": "tso-tennet",
    "TransnetBW": "tso-transnetbw",
}
"""Control area to the id of its transmission system operator."""


def nearest_station(town: Town) -> int:
    """Return the position in ``STATIONS`` of the station nearest to a town.

    Squared degrees with longitude shortened by 0.63 (the cosine of 51 degrees north) are enough to rank six stations.
    """

    def distance(station: Station) -> float:
        north, east = station.latitude - town.latitude, (station.longitude - town.longitude) * 0.63
        return north * north + east * east

    return min(range(len(STATIONS)), key=lambda index: distance(STATIONS[index]))
