"""The rule book of an installation: read from its file, and remembered, so that the past can be asked for.

Belongs here: the file's format and the record of the books that were in force. Does not belong here: what rules are
(``vee/rulebook.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metrify_assets.digest import digest_of
from metrify_assets.errors import SettingsError
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_plugins import load_rules
from metrify_assets.settings import Settings
from metrify_assets.storage.event_log import BY_NUMBER, EventLog
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.rulebook import BEYOND_FEEDS, RULE, DayRules, RuleBook, RuleException, changed

BUILT_IN = Path(__file__).with_name("rules.yaml")
SeverityName = Literal["off", "info", "warn", "block", "quarantine"]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Exception(_Declared):
    feed: str | None = None
    point_class: str | None = None
    rules: dict[str, Any] = {}
    severities: dict[str, SeverityName] = {}
    estimation: dict[str, Any] = {}

    @model_validator(mode="after")
    def _for_someone(self) -> _Exception:
        if self.feed is None and self.point_class is None:
            raise ValueError("an exception needs feed or point_class: what holds for all belongs to the edition")
        for name in ("clock_tolerance_seconds", "register_rollover_percent"):
            if name in self.rules:
                raise ValueError(f"{name} holds for all: it belongs to the edition")
        if "scale_to_registers" in self.estimation:
            raise ValueError("scale_to_registers holds for all: it belongs to the edition")
        if self.feed is not None:
            if self.estimation:
                raise ValueError("estimation looks at more than one delivery: it can differ by point_class only")
            for name in BEYOND_FEEDS:
                if name in self.severities or set(RULE[name].parameters) & set(self.rules):
                    raise ValueError(f"rule {name} looks at more than one delivery: it can differ by point_class only")
        return self


class _Edition(_Declared):
    version: str = Field(min_length=1)
    valid_from: date
    rules: dict[str, Any] = {}
    severities: dict[str, SeverityName] = {}
    estimation: dict[str, Any] = {}
    exceptions: tuple[_Exception, ...] = ()

    def day_rules(self) -> DayRules:
        named = {*self.severities, *(name for each in self.exceptions for name in each.severities)}
        own = tuple(load_rules(named - RULE.keys()).values())
        rules = changed(RuleSet(), self.rules, self.severities, own)
        exceptions = tuple(
            RuleException(each.feed, each.point_class, each.rules, each.severities, each.estimation)
            for each in self.exceptions
        )
        parameters = set(EstimationParameters.__dataclass_fields__) - {"version"}
        named_parameters = {*self.estimation, *(name for each in self.exceptions for name in each.estimation)}
        unknown = sorted(named_parameters - parameters)
        if unknown:
            raise ValueError(f"unknown estimation parameter {unknown[0]!r}: use one of {', '.join(sorted(parameters))}")
        rules_of_day = DayRules(self.version, rules, exceptions, EstimationParameters(**self.estimation), own)
        # What exceptions add up to must make sense as well: better known now than on the day that it first happens.
        feeds, classes = ({getattr(each, name) for each in exceptions} | {None} for name in ("feed", "point_class"))
        for feed, point_class in product(feeds, classes):
            rules_of_day.for_series(feed, point_class)
            rules_of_day.estimation_of(point_class)
        return rules_of_day


class _File(_Declared):
    editions: tuple[_Edition, ...] = Field(min_length=1)


def parse_rule_book(text: str, name: str) -> RuleBook:
    """Return the rule book that a YAML text holds.

    Raises
    ------
    SettingsError
        In one line that says what to correct.
    """
    try:
        declared = _File.model_validate(yaml.safe_load(text))
        editions = tuple((edition.valid_from, edition.day_rules()) for edition in declared.editions)
        _require_own_bits(editions)
        return RuleBook(editions)
    except yaml.YAMLError as error:
        raise SettingsError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{name}: {where}: {first['msg'].removeprefix('Value error, ')}") from error
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{name}: {error}") from error


def _require_own_bits(editions: Iterable[tuple[date, DayRules]]) -> None:
    """Raise ``ValueError`` if rules of other packages share a bit: values keep it, whatever their edition."""
    name_of: dict[int, str] = {}
    for _, edition in editions:
        for rule in edition.own:
            if name_of.setdefault(rule.bit, rule.name) != rule.name:
                raise ValueError(f"rules {name_of[rule.bit]} and {rule.name} both have bit {rule.bit}: change one")


@lru_cache(maxsize=16)
def _parsed(text: str, name: str) -> RuleBook:
    return parse_rule_book(text, name)


def _text(settings: Settings) -> tuple[str, str]:
    path: Path = settings.rules_file or BUILT_IN
    try:
        return path.read_text(encoding="utf-8"), str(path.name)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(f"METRIFY_RULES_FILE={str(path)!r} cannot be read: {why}") from error


def newest_edition() -> str:
    """Return the newest of the built-in editions as a rule book of its own, for all days, however old."""
    edition = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))["editions"][-1]
    text: str = yaml.safe_dump({"editions": [{**edition, "valid_from": date(1990, 1, 1)}]})
    return text


def shipped_rule_book() -> RuleBook:
    """Return the built-in rule book, whatever an installation uses."""
    return _parsed(BUILT_IN.read_text(encoding="utf-8"), BUILT_IN.name)


def rule_book(settings: Settings) -> RuleBook:
    """Return the rule book of now."""
    return _parsed(*_text(settings))


def remember(platform: Platform) -> None:
    """Record the rule book of now, unless it is the one recorded last: what computes days calls this before."""
    text, name = _text(platform.settings)
    _parsed(text, name)
    recorded = _records(platform)
    if recorded and recorded[-1][1]["text"] == text:
        return
    log = _log(platform)
    moment = log.next_moment(recorded[-1][0] if recorded else 0)
    log.append(moment, digest_of(text), {"recorded_at": moment, "name": name, "text": text})


def rule_book_known_at(platform: Platform, moment: int) -> RuleBook:
    """Return the rule book that was in force at an instant (UTC microseconds), as far as days were computed then.

    Before the first record the first one counts: there was nothing to compute with another.
    """
    recorded = _records(platform)
    if not recorded:
        return rule_book(platform.settings)
    earlier = [record for stamp, record in recorded if stamp <= moment]
    record = earlier[-1] if earlier else recorded[0][1]
    return _parsed(record["text"], record["name"])


def _records(platform: Platform) -> list[tuple[int, dict[str, Any]]]:
    log = _log(platform)
    records = log.read(item.key for item in log.list())
    return list(log.parsed(records, lambda key, record: (int(record["recorded_at"]), _checked(record))).values())


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    return {name: str(record[name]) for name in ("text", "name")}


def _log(platform: Platform) -> EventLog:
    return EventLog(platform.store, "rulebooks", BY_NUMBER, lambda key: "put it back from a backup", platform.clock)
