"""How Snowflake is reached: account, user, key, roles, compute and timeouts, read from the environment once.

Belongs here: the variables ``SNOWFLAKE_*`` and what follows from them. The dbt profile (``metrify_dbt/profiles.yml``)
reads the same ones. Does not belong here: connections (``session.py``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from metrify_assets.errors import SettingsError
from metrify_assets.settings import KEY, missing_variables

D = TypeVar("D", int, None)

LOADER_ROLE = "METRIFY_LOADER"
TRANSFORMER_ROLE = "METRIFY_TRANSFORMER"
"""Roles that ``deploy/snowflake`` makes; the dbt profile has the same default."""

BACKFILL_DAYS = 7
"""A run of more days than this is a backfill: it uses the larger compute, where there is one."""


@dataclass(frozen=True)
class SnowflakeAccess:
    """What a connection needs.

    Attributes
    ----------
    account, user, database : str
    warehouse : str
        Snowflake's word for compute: what daily runs use.
    backfill_warehouse : str
        What runs of many days use; the same unless SNOWFLAKE_BACKFILL_WAREHOUSE names another.
    private_key_path, private_key_passphrase, password : str or None
        The key, or a password as an alternative; never both.
    loader_role, transformer_role : str
        The role that loads the lake into RAW, and the one that builds the marts.
    host, port, protocol : str, int, str or None
        Where the account is served, if not at Snowflake's own address (a private link, a test server).
    statement_timeout_seconds : int
        Snowflake cancels a statement that runs longer.
    network_timeout_seconds : int
        A request that the server does not answer well is given up after that long; by itself the client would try again
        for ever. Long statements are asked after again and again, each time anew.
    """

    account: str
    user: str
    database: str
    warehouse: str
    backfill_warehouse: str
    private_key_path: str | None = None
    # Secrets are not shown where the object is, in a log or a traceback.
    private_key_passphrase: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    loader_role: str = LOADER_ROLE
    transformer_role: str = TRANSFORMER_ROLE
    host: str | None = None
    port: int | None = None
    protocol: str | None = None
    statement_timeout_seconds: int = 3_600
    network_timeout_seconds: int = 300

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> SnowflakeAccess:
        """Read the environment; raise ``SettingsError`` with one line that names what to correct."""
        environ = os.environ if environ is None else environ
        missing = missing_variables(environ)
        if missing:
            raise SettingsError(f"Snowflake needs {', '.join(missing)}: set them")

        def given(name: str) -> str | None:
            return environ.get(f"SNOWFLAKE_{name}", "").strip() or None

        def number(name: str, default: D) -> int | D:
            text = given(name)
            if text is not None and not text.isdigit():
                raise SettingsError(f"SNOWFLAKE_{name}={text!r}: must be a whole number")
            return default if text is None else int(text)

        key = given("PRIVATE_KEY_PATH")
        if key is not None and not Path(key).is_file():
            raise SettingsError(f"{KEY}={key!r}: there is no such file")
        warehouse = environ["SNOWFLAKE_WAREHOUSE"].strip()
        return cls(
            account=environ["SNOWFLAKE_ACCOUNT"].strip(),
            user=environ["SNOWFLAKE_USER"].strip(),
            database=environ["SNOWFLAKE_DATABASE"].strip(),
            warehouse=warehouse,
            backfill_warehouse=given("BACKFILL_WAREHOUSE") or warehouse,
            private_key_path=key,
            private_key_passphrase=given("PRIVATE_KEY_PASSPHRASE") if key else None,
            password=None if key else given("PASSWORD"),
            loader_role=given("LOADER_ROLE") or LOADER_ROLE,
            transformer_role=given("TRANSFORMER_ROLE") or TRANSFORMER_ROLE,
            host=given("HOST"),
            port=number("PORT", None),
            protocol=given("PROTOCOL"),
            statement_timeout_seconds=number("STATEMENT_TIMEOUT_SECONDS", cls.statement_timeout_seconds),
            network_timeout_seconds=number("NETWORK_TIMEOUT_SECONDS", cls.network_timeout_seconds),
        )

    @property
    def identity(self) -> str:
        """The database that holds the marts, whoever connects to it."""
        return f"snowflake:{self.account}/{self.database}".lower()

    def warehouse_for(self, days: int) -> str:
        """Return the compute for a run of so many days."""
        return self.backfill_warehouse if days > BACKFILL_DAYS else self.warehouse
