"""Weather dependence as an asset: computed when a person asks, over the last whole months.

Belongs here: what Dagster shows of a result, and its checks. Does not belong here: the result (``analytics/weather/``).
"""

from datetime import date

import dagster as dg

from metrify_assets.analytics.weather.inputs import last_whole_month
from metrify_assets.analytics.weather.plot import Response, draw_response, temperature_response
from metrify_assets.analytics.weather.results import Result, compute_weather_dependence
from metrify_assets.errors import WeatherError
from metrify_assets.orchestration.assets.common import (
    ANALYTICS_OWNERS,
    final_failure,
    retry_policy,
    svg_image,
    table_metadata,
)
from metrify_assets.orchestration.checks.results import audit_results, check_specs
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import AuditError
from metrify_assets.schemas.weather_dependence import WEATHER_DEPENDENCE

REFUSED_SHARE, EXTREME_SHARE = "refused_share", "extreme_share"
MOST_REFUSED = 0.2
"""Share of refused points above which the check warns. Our own choice: more is no matter of single points."""
MOST_EXTREME = 0.05
"""Share of flagged days above which the check warns. Our own choice; a normal distribution has one in 10,000."""


class WeatherDependenceConfig(dg.Config):
    """Which baseline to judge."""

    through: str = ""
    """Last day, such as 2026-10-31; without one the last day of the last whole month with clean readings."""
    default_station: str = ""
    """Weather station of points whose place is not registered; without one they are refused."""


def weather_dependence_asset() -> dg.AssetsDefinition:
    """Return the asset of weather dependence."""

    @dg.asset(
        name=WEATHER_DEPENDENCE.name,
        group_name="analytics",
        owners=ANALYTICS_OWNERS,
        kinds={"parquet"},
        deps=["clean_readings", "clean_weather", "points", "weather_stations"],
        description=f"{WEATHER_DEPENDENCE.description} Beside it in the lake: `weather_adjusted_months`, "
        "`weather_adjusted_days`, `station_degree_days`. Nothing starts it by itself: materialize it once a month.",
        metadata=table_metadata(WEATHER_DEPENDENCE),
        check_specs=[*check_specs(WEATHER_DEPENDENCE), *_share_specs()],
        retry_policy=retry_policy(),
        pool="analytics",
    )
    # With checks Dagster takes this annotation bare only.
    def weather_dependence(
        config: WeatherDependenceConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with final_failure(WeatherError, AuditError):
            through = _day_of(config.through) if config.through else last_whole_month(platform)
            result = compute_weather_dependence(platform, through, config.default_station)
        return dg.MaterializeResult(
            metadata=_metadata(result),
            data_version=dg.DataVersion(result.manifest.digest),
            check_results=[*audit_results(result.audit), *_share_results(result)],
        )

    return weather_dependence


def _day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WeatherError(f"through={text!r} is no day: write it as 2026-10-31") from error


def _share_specs() -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            REFUSED_SHARE,
            asset=WEATHER_DEPENDENCE.name,
            description=f"At most {MOST_REFUSED:.0%} of the points are refused. If it warns, see which rule refuses "
            "most: weather that is missing, places that are not registered, or days without reads.",
        ),
        dg.AssetCheckSpec(
            EXTREME_SHARE,
            asset=WEATHER_DEPENDENCE.name,
            description=f"At most {MOST_EXTREME:.0%} of the days lie above the median of their point and three "
            "interquartile ranges. If it warns, look for meters with wrong multipliers; the days are kept.",
        ),
    ]


def _share_results(result: Result) -> list[dg.AssetCheckResult]:
    points, refused = len(result.fits.model), result.models["refused"]
    days, extreme = int(result.fits.days.sum()), int(result.fits.extreme.sum())
    return [
        _share_result(REFUSED_SHARE, refused, points, MOST_REFUSED, result.refusals),
        _share_result(EXTREME_SHARE, extreme, days, MOST_EXTREME, {}),
    ]


def _share_result(name: str, part: int, whole: int, most: float, numbers: dict[str, int]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=part <= most * whole,
        severity=dg.AssetCheckSeverity.WARN,
        description="" if whole else "There was nothing to look at.",
        metadata={"share": part / whole if whole else 0.0, "count": part, "of": whole, "limit": most, **numbers},
    )


def _metadata(result: Result) -> dict[str, dg.MetadataValue | int | str]:
    days = result.inputs.days
    metadata: dict[str, dg.MetadataValue | int | str] = {
        "dagster/row_count": result.manifest.rows,
        "baseline": f"{days[0]} to {days[-1]}",
        **result.models,
        **{f"refused: {name}": count for name, count in result.refusals.items()},
    }
    response = temperature_response(result.inputs.baseline, result.fits)
    if len(response.celsius):
        metadata["temperature_response"] = dg.MetadataValue.md(_picture(response))
    return metadata


def _picture(response: Response) -> str:
    """Return the drawing, and below it the table that it is made of."""
    image = svg_image("Use of a day by its temperature", draw_response(response))
    columns = (response.celsius, response.used, response.expected, response.days)
    rows = [
        f"| {celsius} | {used:.3f} | {expected:.3f} | {days} |"
        for celsius, used, expected, days in zip(*(column.tolist() for column in columns), strict=True)
    ]
    head = ["| degC | used, kWh/d | expected, kWh/d | days |", "|---|---|---|---|"]
    return "\n".join([image, "", *head, *rows])
