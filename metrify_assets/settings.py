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
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from metrify_assets.errors import SettingsError

PACKAGE_DIR = Path(__file__).resolve().parent
REPOSITORY_DIR = PACKAGE_DIR.parent
SHIPPED_DIR = PACKAGE_DIR if (PACKAGE_DIR / "dagster.yaml").exists() else REPOSITORY_DIR
"""Where the dbt project, ``dagster.yaml`` and ``workspace.yaml`` lie: beside the package, or in it in a wheel."""
METRIFY_DBT = SHIPPED_DIR / "metrify_dbt"
"""Metrify's dbt project."""
EARLIEST_DAY = date(1990, 1, 1)
"""What a first day may be: Dagster gets slow with more partitions."""


class Profile(StrEnum):
    """Where the platform runs; nothing outside of ``platform.py`` and ``warehouse/`` asks."""

    LOCAL = "local"
    PRODUCTION = "production"


class StoreKind(StrEnum):
    """Where inbox, landing zone, lake and ledger lie, whatever the warehouse is."""

    LOCAL = "local"
    S3 = "s3"


class WarehouseEngine(StrEnum):
    """What builds the marts, wherever the files lie."""

    DUCKDB = "duckdb"
    SNOWFLAKE = "snowflake"


class EventLog(StrEnum):
    """How Dagster's history is kept where it lies in SQLite."""

    PACKED = "packed"
    STOCK = "stock"


def _listed(value: object) -> object:
    """Return the parts of a text that commas separate: an environment variable holds no list."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]


PATHS = ("root", "feeds_dir", "rules_file", "tariffs_file", "dbt_project_dir", "workspace_file", "kafka_config_file")
"""Settings that name a file or folder."""

PRODUCTION_VARIABLES = ("METRIFY_S3_BUCKET",)
REQUIRED = ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER", "SNOWFLAKE_DATABASE", "SNOWFLAKE_WAREHOUSE")
KEY = "SNOWFLAKE_PRIVATE_KEY_PATH"
PASSWORD = "SNOWFLAKE_PASSWORD"
"""Variables without which Snowflake cannot be reached; it takes a key or a password."""


class Settings(BaseModel):
    """One installation of Metrify.

    Every field can be set by the environment variable ``METRIFY_<FIELD>`` in capitals; ``from_env`` reads them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    profile: Profile = Profile.LOCAL
    root: Path = Field(default=Path(".metrify"), description="Folder that holds everything that Metrify writes.")
    store: StoreKind = Field(
        default=StoreKind.LOCAL, description="Where files lie: in a local folder, or on S3 (the default in production)."
    )
    s3_bucket: str | None = Field(default=None, description="Bucket of the store on S3.")
    s3_prefix: str = Field(default="", description="Folder in the bucket; empty for the whole bucket.")
    s3_endpoint: str | None = Field(default=None, description="URL of the S3 endpoint; AWS's own without one.")
    s3_timeout_seconds: float = Field(
        default=15,
        gt=0,
        description="Longest silence of the S3 endpoint; reported after three attempts.",
    )
    warehouse_engine: WarehouseEngine = Field(
        default=WarehouseEngine.DUCKDB,
        description="What builds the marts: a DuckDB file, or Snowflake (the default in production).",
    )
    timezone: str = Field(default="Europe/Berlin", description="IANA zone of the delivery day.")
    first_day: date = Field(
        default=date(2020, 1, 1),
        description="First delivery day; older values are quarantined. Without it the installation's own holds.",
    )
    shards: int = Field(
        default=4, ge=1, le=1024, description="Parts that a day is cut into, by a hash of the point id."
    )
    automation: bool = Field(default=True, description="Sensors and schedules start switched on.")
    feeds_dir: Path | None = Field(default=None, description="Folder with feed definitions beside the built-in ones.")
    rules_file: Path | None = Field(default=None, description="Rule book of the installation; see rules.yaml.")
    tariffs_file: Path | None = Field(default=None, description="Tariffs of the installation; see docs/tariffs.md.")
    dbt_project_dir: Path | None = Field(
        default=None, description="dbt project of the installation, which takes Metrify's as a package."
    )
    workspace_file: Path = Field(
        default=SHIPPED_DIR / "workspace.yaml", description="What Dagster loads: the workspace of the installation."
    )
    max_days_per_run: int = Field(default=62, ge=1, description="Longest range of days that one run computes.")
    max_run_attempts: int = Field(default=3, ge=1, description="Attempts at the same inputs before a day is parked.")
    max_drops_per_run: int = Field(default=500, ge=1, description="Most files that one ingest run reads.")
    ingest_wait_seconds: int = Field(
        default=120, ge=0, description="Longest time that dirty days wait for ingest runs under way, to be coalesced."
    )
    min_free_mb: int = Field(
        default=200, ge=0, description="Megabytes that must be free on the disk of the root for a run to begin."
    )
    run_log_days: int = Field(default=90, ge=1, description="How long the logs of runs are kept, in SQLite.")
    event_log: EventLog = Field(
        default=EventLog.PACKED,
        description="Dagster's history in SQLite: packed by Metrify, or as Dagster's own storage writes it (stock).",
    )
    dwd_url: str = Field(
        default="https://opendata.dwd.de/climate_environment/CDC/observations_germany/climate",
        description="Folder of the weather service's observations.",
    )
    dwd_stations: Listed = Field(default=(), description="Stations to pull, such as 161,1766.")
    dwd_products: Listed = Field(default=("tu",), description="Products to pull of each: tu, ff, rr, n, st, tu10, ...")
    smard_url: str = Field(
        default="https://www.smard.de/app/chart_data", description="Folder of SMARD's series and weeks."
    )
    smard_series: Listed = Field(default=(), description="Series and areas to pull, such as 410:50Hertz,4068:DE.")
    smard_resolution: Literal["hour", "quarterhour"] = "hour"
    openweathermap_url: str = Field(
        default="https://history.openweathermap.org/data/2.5/history/city", description="OpenWeatherMap's history."
    )
    openweathermap_stations: Listed = Field(default=(), description="Places to pull, such as berlin:52.52:13.40.")
    kafka_bootstrap: str | None = Field(default=None, description="Brokers as host:port; without it no stream is read.")
    kafka_config_file: Path | None = Field(
        default=None, description="File of property=value lines for the Kafka client; secrets are not allowed in it."
    )
    kafka_timeout_seconds: float = Field(default=10, gt=0, description="Longest wait for a broker's answer.")
    stream_max_lag: int = Field(default=1_000_000, ge=0, description="Offsets not yet landed that are no alarm.")
    stream_max_lost: int = Field(default=0, ge=0, description="Lost offsets, not yet acknowledged, that are no alarm.")
    max_stream_drops_per_run: int = Field(default=20, ge=1, description="Most ranges of offsets that one run lands.")

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
        if value < EARLIEST_DAY:
            raise ValueError(f"must be {EARLIEST_DAY} or later")
        return value

    @field_validator("s3_prefix")
    @classmethod
    def _folder_of_a_bucket(cls, value: str) -> str:
        folder = value.strip("/")
        if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
            raise ValueError("must be a folder such as metrify/prod")
        return folder

    @field_validator("s3_endpoint")
    @classmethod
    def _a_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must be a URL such as https://s3.example.org:9000")
        return value

    @model_validator(mode="before")
    @classmethod
    def _production_of_profile(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("profile") == Profile.PRODUCTION:
            return {"store": StoreKind.S3, "warehouse_engine": WarehouseEngine.SNOWFLAKE, **values}
        return values

    @field_validator(*PATHS)
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # Dagster's processes work in another folder.
        return None if value is None else value.expanduser().absolute()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read ``METRIFY_*`` variables; raise ``SettingsError`` with one line that names what to correct."""
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
        if settings.store is StoreKind.S3 and settings.profile is Profile.LOCAL and not settings.s3_bucket:
            raise SettingsError("METRIFY_STORE=s3 needs METRIFY_S3_BUCKET: set it, or use METRIFY_STORE=local")
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
    def s3_cache(self) -> Path:
        """Local copies of objects; may be deleted while nothing runs."""
        return self.root / "s3-cache"

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
    def event_logs(self) -> Path:
        """Dagster's event log in SQLite: a file per run, and one of all runs."""
        return self.dagster_home / "history" / "runs"

    @property
    def dbt_project(self) -> Path:
        """The dbt project that is built: the installation's own, or Metrify's."""
        return self.dbt_project_dir or METRIFY_DBT

    @property
    def dbt_projects(self) -> tuple[Path, ...]:
        """The folders whose files make the marts: the project that is built, after Metrify's if it is another."""
        return (self.dbt_project,) if self.dbt_project_dir is None else (METRIFY_DBT, self.dbt_project)

    @property
    def dbt_profiles(self) -> Path:
        """The folder with ``profiles.yml``: of the installation's own dbt project, if that has one."""
        return self.dbt_project if (self.dbt_project / "profiles.yml").exists() else METRIFY_DBT

    @property
    def dbt_target(self) -> Path:
        """Compiled dbt artefacts: the manifest that the code location reads."""
        return self.root / "dbt"

    @property
    def says_first_day(self) -> bool:
        """Whether the first day was set, rather than left to what the installation keeps."""
        return "first_day" in self.model_fields_set

    @property
    def path_variables(self) -> dict[str, str]:
        """The environment variables that name files and folders, for processes that work in another folder."""
        paths = {name: getattr(self, name) for name in PATHS}
        return {f"METRIFY_{name.upper()}": str(path) for name, path in paths.items() if path is not None}

    def last_day(self, today: date) -> date:
        """Latest delivery day that is accepted: tomorrow, because senders' clocks and zones run ahead of ours."""
        return today + timedelta(days=1)


def read_env_file(file: Path) -> None:
    """Set the variables of a ``.env`` file, if it is there; those that are set already stay.

    Settings that name a file or folder are relative to the folder of the ``.env`` file.
    """
    if not file.is_file():
        return
    from dotenv import dotenv_values

    paths = {f"METRIFY_{name.upper()}" for name in PATHS}
    for name, value in dotenv_values(file).items():
        if value:
            os.environ.setdefault(
                name, str(file.absolute().parent / Path(value).expanduser()) if name in paths else value
            )


def missing_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the variables without which Snowflake cannot be reached."""
    missing = [name for name in REQUIRED if not environ.get(name, "").strip()]
    if not any(environ.get(name, "").strip() for name in (KEY, PASSWORD)):
        missing.append(f"{KEY} (or {PASSWORD})")
    return missing
