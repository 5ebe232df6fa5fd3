"""Settings: profile, paths, time zone, first delivery day.

Belongs here: everything that differs between two installations, read from the environment in one place and
validated once. Does not belong here: what differs per feed (``feeds/``) or per rule (``vee/``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from metrify_assets.errors import SettingsError
from metrify_assets.resources.snowflake.access import missing_variables

PACKAGE_DIR = Path(__file__).resolve().parent
REPOSITORY_DIR = PACKAGE_DIR.parent


class Profile(StrEnum):
    """Where the platform runs; mapped to resources in ``resources/`` and nowhere else."""

    LOCAL = "local"
    PRODUCTION = "production"


class WarehouseEngine(StrEnum):
    """What builds the marts, wherever the files lie."""

    DUCKDB = "duckdb"
    SNOWFLAKE = "snowflake"


PRODUCTION_VARIABLES = ("METRIFY_S3_BUCKET",)


class Settings(BaseModel):
    """One installation of Metrify.

    Every field can be set by the environment variable ``METRIFY_<FIELD>`` in capitals; ``from_env`` reads them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    profile: Profile = Profile.LOCAL
    root: Path = Field(default=Path(".metrify"), description="Folder that holds everything that Metrify writes.")
    warehouse_engine: WarehouseEngine = Field(
        default=WarehouseEngine.DUCKDB,
        description="What builds the marts: a DuckDB file, or Snowflake (the default in production).",
    )
    timezone: str = Field(default="Europe/Berlin", description="IANA zone of the delivery day.")
    first_day: date = Field(default=date(2020, 1, 1), description="First delivery day; older values are quarantined.")
    shards: int = Field(
        default=4, ge=1, le=1024, description="Parts that a day is cut into, by a hash of the point id."
    )
    automation: bool = Field(default=True, description="Sensors and schedules start switched on.")
    feeds_dir: Path | None = Field(default=None, description="Folder with feed definitions beside the built-in ones.")
    rules_file: Path | None = Field(default=None, description="Rule book of the installation; see rules.yaml.")
    max_days_per_run: int = Field(default=62, ge=1, description="Longest range of days that one run computes.")
    max_run_attempts: int = Field(default=3, ge=1, description="Attempts at the same inputs before a day is parked.")
    max_drops_per_run: int = Field(default=500, ge=1, description="Most files that one ingest run reads.")
    ingest_wait_seconds: int = Field(
        default=120, ge=0, description="Longest time that dirty days wait for ingest runs under way, to be coalesced."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; use a name such as Europe/Berlin") from error
        return value

    @field_validator("first_day")
    @classmethod
    def _within_partition_limit(cls, value: date) -> date:
        if value < date(1990, 1, 1):
            raise ValueError("must be 1990-01-01 or later")
        return value

    @model_validator(mode="before")
    @classmethod
    def _engine_of_profile(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("profile") == Profile.PRODUCTION:
            return {"warehouse_engine": WarehouseEngine.SNOWFLAKE, **values}
        return values

    @field_validator("root")
    @classmethod
    def _absolute_root(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read ``METRIFY_*`` variables; raise ``SettingsError`` with one line that names what to mend."""
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {}
        for name in cls.model_fields:
            text = environ.get(f"METRIFY_{name.upper()}", "").strip()
            if text:
                values[name] = text
        values.update(overrides)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"METRIFY_{str(first['loc'][0]).upper()}" if first["loc"] else "settings"
            message = first["msg"].removeprefix("Value error, ")
            raise SettingsError(f"{name}={first.get('input')!r}: {message}") from error
        settings._require(environ)
        return settings

    def _require(self, environ: Mapping[str, str]) -> None:
        """Raise ``SettingsError`` that names, in one line, every variable that is missing."""
        production = self.profile is Profile.PRODUCTION
        missing = [name for name in PRODUCTION_VARIABLES if production and not environ.get(name, "").strip()]
        if self.warehouse_engine is WarehouseEngine.SNOWFLAKE:
            missing += missing_variables(environ)
        if missing:
            chosen, otherwise = (
                ("the production profile", "METRIFY_PROFILE=local")
                if production
                else ("METRIFY_WAREHOUSE_ENGINE=snowflake", "METRIFY_WAREHOUSE_ENGINE=duckdb")
            )
            raise SettingsError(f"{chosen} needs {', '.join(missing)}: set them, or use {otherwise}")

    @property
    def inbox(self) -> Path:
        """Where senders put files: ``inbox/<feed>/...``; only ever read."""
        return self.root / "inbox"

    @property
    def landing(self) -> Path:
        """The bytes as they came, one immutable file per drop."""
        return self.root / "landing"

    @property
    def ledger(self) -> Path:
        """One JSON record per drop and event."""
        return self.root / "ledger"

    @property
    def lake(self) -> Path:
        """Parquet tables."""
        return self.root / "lake"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file with the marts."""
        return self.root / "warehouse.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Dagster's run history and event log."""
        return self.root / "dagster"

    @property
    def dbt_project(self) -> Path:
        """The dbt project that ships with the repository."""
        return REPOSITORY_DIR / "metrify_dbt"

    @property
    def dbt_target(self) -> Path:
        """Compiled dbt artefacts: the manifest that the code location reads."""
        return self.root / "dbt"

    def last_day(self, today: date) -> date:
        """Latest delivery day that is accepted: tomorrow, because senders' clocks and zones run ahead of ours."""
        return today + timedelta(days=1)
