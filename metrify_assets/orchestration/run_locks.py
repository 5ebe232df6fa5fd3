"""A lock for each run, held by the process that works on it.

Belongs here: the files of the locks, and what they say about the process that holds one. The operating system gives
a lock back when its process ends, also with SIGKILL or when the machine stops, so a run whose lock is free has no
process any more. Does not belong here: what becomes of such a run (``orchestration/run_launcher.py``).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Where a process runs.

    Attributes
    ----------
    host : str
        Name of the host.
    kernel : str
        Id of the running kernel: containers on one host share it, and a restart changes it. Empty if not known.
    processes : str
        Numbering of processes that a process number belongs to. Empty if not known.
    """

    host: str
    kernel: str
    processes: str

    def shares_locks_with(self, other: Machine) -> bool:
        """Return whether a lock that was taken there can be judged here."""
        return self.host == other.host or (self.kernel != "" and self.kernel == other.kernel)

    def shares_processes_with(self, other: Machine) -> bool:
        """Return whether a process number of there means the same process here."""
        return self.shares_locks_with(other) and (self.kernel, self.processes) == (other.kernel, other.processes)


@cache
def this_machine() -> Machine:
    """Return where this process runs."""
    kernel = processes = ""
    with suppress(OSError):  # Only Linux says so.
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        processes = os.readlink("/proc/self/ns/pid")
    return Machine(socket.gethostname(), kernel, processes)


@dataclass(frozen=True)
class Launcher:
    """The process that started a run: its number, and when it began (None where the system does not say it)."""

    pid: int
    began: int | None

    @classmethod
    def this_process(cls) -> Launcher:
        """Return this process as a launcher."""
        return cls(os.getpid(), _began(os.getpid()))

    def is_running(self) -> bool:
        """Return whether the process lives; its number may have been given to another one since."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # It lives, as another user.
        return _began(self.pid) == self.began


def _began(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None if it is gone or the system does not say."""
    try:
        # The command's name stands in brackets and may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


@dataclass(frozen=True)
class Holder:
    """The process that took a lock, and the one that started it; its number is None until it is started."""

    machine: Machine
    pid: int | None
    launcher: Launcher

    @classmethod
    def read(cls, descriptor: int) -> Holder | None:
        """Return the holder that a lock's file names; None if it names none, as after a power cut."""
        try:
            values = json.loads(os.pread(descriptor, 4_096, 0).partition(b"\n")[0])
            return cls(Machine(**values["machine"]), values["pid"], Launcher(**values["launcher"]))
        except (ValueError, TypeError, KeyError):
            return None

    def write(self, descriptor: int) -> None:
        """Write the holder into the file of a lock. A longer text replaces a shorter one in one step."""
        os.pwrite(descriptor, json.dumps(asdict(self)).encode() + b"\n", 0)


class RunLocks:
    """The locks of the runs of one Dagster instance.

    Parameters
    ----------
    folder : Path
        Holds a file per run that is worked on.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def take(self, run_id: str) -> int:
        """Take the lock of a run that is about to begin; return a file descriptor.

        The lock is held until every process that has the descriptor closed it or ended.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # A file under its own name is locked and names its holder from the first moment on.
        hidden = self.folder / f".{run_id}"
        descriptor = os.open(hidden, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Holder(this_machine(), None, Launcher.this_process()).write(descriptor)
            os.fsync(descriptor)
            os.rename(hidden, self.folder / run_id)
        except OSError:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        return descriptor

    @staticmethod
    def name_holder(descriptor: int, pid: int) -> None:
        """Write down which process, started by this one, holds a lock."""
        Holder(this_machine(), pid, Launcher.this_process()).write(descriptor)

    def remove(self, run_id: str) -> None:
        """Remove the file of a lock that is held by the caller."""
        (self.folder / run_id).unlink(missing_ok=True)

    @contextmanager
    def holding(self, run_id: str) -> Iterator[None]:
        """Hold the lock of a run that this process works on itself."""
        descriptor = self.take(run_id)
        try:
            self.name_holder(descriptor, os.getpid())
            yield
        finally:
            self.remove(run_id)
            os.close(descriptor)

    def run_ids(self) -> list[str]:
        """Return the runs that have a lock, held or free."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    def exists(self, run_id: str) -> bool:
        """Return whether a run has a lock, held or free."""
        return (self.folder / run_id).exists()

    def pid(self, run_id: str) -> int | None:
        """Return the number of the process that holds a lock; None if it has no number here."""
        holder = self._holder(run_id)
        return holder.pid if holder and holder.machine.shares_processes_with(this_machine()) else None

    def launcher_is_gone(self, run_id: str) -> bool:
        """Return whether the process that started an abandoned run has ended too, or its machine has stopped since."""
        holder = self._holder(run_id)
        if holder is None or not holder.machine.shares_processes_with(this_machine()):
            return True
        return not holder.launcher.is_running()

    def _holder(self, run_id: str) -> Holder | None:
        try:
            descriptor = os.open(self.folder / run_id, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return Holder.read(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def abandoned(self, run_id: str) -> Iterator[bool]:
        """Yield whether the process that held a run's lock has ended; if so, the caller holds the lock meanwhile.

        A lock that was taken on another machine, or that does not exist, says nothing: False. One whose file names
        nobody was taken where a machine stopped: whether it is held decides.
        """
        try:
            descriptor = os.open(self.folder / run_id, os.O_RDWR)
        except FileNotFoundError:
            yield False
            return
        try:
            holder = Holder.read(descriptor)
            is_ours = holder is None or holder.machine.shares_locks_with(this_machine())
            yield is_ours and _lock_at_once(descriptor)
        finally:
            os.close(descriptor)


def _lock_at_once(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
