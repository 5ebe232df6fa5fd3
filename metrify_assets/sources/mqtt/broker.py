"""Which broker, and as whom: read from the environment, where secrets are.

Belongs here: address, user, TLS. Does not belong here: topics (they are the feed's) and batches.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator, model_validator

from metrify_assets.errors import SettingsError

PORTS = {"mqtt": 1883, "mqtts": 8883}


class Broker(BaseModel):
    """Address and credentials; every field is ``METRIFY_MQTT_<FIELD>`` in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "mqtt://127.0.0.1:1883"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.username or parts.password:
            raise ValueError("leave user and password out: set METRIFY_MQTT_USERNAME and METRIFY_MQTT_PASSWORD")
        try:
            valid = parts.scheme in PORTS and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            valid = False
        if not valid or parts.path not in ("", "/"):
            raise ValueError("write mqtt://host:1883, or mqtts://host:8883 for TLS")
        return value

    @field_validator("ca_file", "cert_file", "key_file")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("is no file: give the path of a PEM file")
        return value

    @model_validator(mode="after")
    def _together(self) -> Broker:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs METRIFY_MQTT_USERNAME")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("METRIFY_MQTT_CERT_FILE and METRIFY_MQTT_KEY_FILE belong together")
        if not self.tls and (self.ca_file or self.cert_file):
            raise ValueError("certificates need TLS: write the address as mqtts://host:8883")
        return self

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        """Name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port, by default that of the scheme."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, url: str | None = None) -> Broker:
        """Read ``METRIFY_MQTT_*``; raise ``SettingsError`` with one line that names what to correct."""
        environ = os.environ if environ is None else environ
        values: dict[str, str] = {}
        for name in cls.model_fields:
            text = environ.get(f"METRIFY_MQTT_{name.upper()}", "")
            if text.strip():
                values[name] = text
        if url is not None:
            values["url"] = url
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"METRIFY_MQTT_{str(first['loc'][0]).upper()}" if first["loc"] else "METRIFY_MQTT_*"
            # Not what was found: it may be a secret.
            raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
