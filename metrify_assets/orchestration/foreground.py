"""Runs in this process, for a person who waits for them: the steps with their seconds, all else in a log file.

Belongs here: executing a job as one run of the recorded history, and what is shown of it. Does not belong here: which
job for which days (``recompute.py``, ``orchestration/on_request.py``).
"""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from metrify_assets import errors
from metrify_assets.errors import MetrifyError, RunError
from metrify_assets.settings import Settings

if TYPE_CHECKING:
    import dagster as dg
    from dagster_shared.error import SerializableErrorInfo

PROGRESS = "progress"
"""Name of the logger in the run's configuration."""
KEPT_LOGS = 20
MAX_REASON = 300
"""Longest text of an error that is shown; all of it is in the log."""


def run_job(
    settings: Settings, job_name: str, *, verbose: bool, run_config: Mapping[str, Any] | None = None, **run: Any
) -> str:
    """Execute a job in this process; return the run's id.

    Parameters
    ----------
    settings : Settings
    job_name : str
    verbose : bool
        Show Dagster's and dbt's own logs, instead of the steps; no file is written.
    run_config : mapping, optional
    **run
        What else ``execute_in_process`` takes: ``partition_key``, ``tags``.

    Raises
    ------
    RunError
        If the run fails: the step, its reason and where to read more, in one line.
    """
    import dagster as dg

    from metrify_assets.orchestration.build import build_defs
    from metrify_assets.orchestration.home import open_instance, prepare_home, run_here

    prepare_home(settings)
    run_id = str(uuid.uuid4())
    loggers: dict[str, Any] = {"console": {"config": {"log_level": "DEBUG"}}}
    with open_instance(settings) as instance, _shown(settings, run_id, verbose) as (person, log):
        definitions = build_defs(settings)
        if person:
            loggers[PROGRESS] = {}
            both = {"console": dg.colored_console_logger, PROGRESS: _progress_logger(person)}
            definitions = dg.Definitions.merge(definitions, dg.Definitions(loggers=both))
        result = run_here(
            instance,
            definitions.resolve_job_def(job_name),
            run_id=run_id,
            run_config={**(run_config or {}), "loggers": loggers},
            **run,
        )
    if not result.success:
        more = f"read {log}, or" if log else "read it with"
        raise RunError(f"run {run_id} failed{_reason(result)}: {more} `make dev`, page Runs")
    return run_id


@contextmanager
def _shown(settings: Settings, run_id: str, verbose: bool) -> Iterator[tuple[TextIO | None, Path | None]]:
    """Yield where the steps are written for the person, and the log file that all other output goes to meanwhile."""
    if verbose:
        yield None, None
        return
    log = _log_file(settings, run_id)
    with _output_into(log) as person:
        yield person, log


def _log_file(settings: Settings, run_id: str) -> Path:
    """Return the log file of a run; the oldest ones go."""
    folder = settings.root / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    logs = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    for path in logs[: max(0, len(logs) - KEPT_LOGS + 1)]:
        path.unlink(missing_ok=True)
    return folder / f"{run_id}.log"


@contextmanager
def _output_into(log: Path) -> Iterator[TextIO]:
    """Send what this process and its children write to a file; yield what standard error was.

    The descriptors are exchanged, not the objects: dbt and Dagster's own capturing of steps write past those.
    """
    saved = os.dup(1), os.dup(2)
    try:
        _flush()
        with open(log, "ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        with open(saved[1], "w", encoding="utf-8", errors="replace", closefd=False) as person:
            yield person
    finally:
        _flush()
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _progress_logger(person: TextIO) -> dg.LoggerDefinition:
    import dagster as dg

    @dg.logger(None, description="The steps of a run with their seconds.")
    def progress_logger(context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger(PROGRESS, level=logging.DEBUG)
        logger.addHandler(StepLines(person))
        return logger

    return progress_logger


class StepLines(logging.Handler):
    """Write a line for each step: its name when it starts, its seconds when it ends."""

    ENDS: Mapping[str, str] = {
        "STEP_SUCCESS": "",
        "STEP_FAILURE": ", failed",
        "STEP_UP_FOR_RETRY": ", failed and tried again",
    }

    def __init__(self, person: TextIO):
        super().__init__()
        self.person = person
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Write what an event says of a step."""
        event: dg.DagsterEvent | None = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None:
            return
        kind = event.event_type_value
        if kind in ("STEP_START", "STEP_RESTARTED"):
            self.started = time.monotonic()
            print(f"{event.step_key} ... ", end="", file=self.person, flush=True)
        elif kind in self.ENDS:
            seconds = time.monotonic() - self.started
            print(f"{seconds:.1f} s{self.ENDS[kind]}", file=self.person, flush=True)


def _reason(result: dg.ExecuteInProcessResult) -> str:
    """Return the first step that failed and why, as part of a line; empty if no step did.

    An error of the platform's own says what to do, so it is shown whole; of others the first cause, cut to a length.
    """
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            text = " ".join((said or _cause(data.error)).split())
            return f" in {event.step_key} ({text})" if text else f" in {event.step_key}"
    return ""


def _cause(error: SerializableErrorInfo | None) -> str:
    ours = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, MetrifyError)}
    while error is not None and error.cause is not None and error.cls_name not in ours:
        error = error.cause
    if error is None:
        return ""
    if error.cls_name in ours:
        return error.message.partition(": ")[2]
    text = error.message
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]} ..."
