"""Leases: who is making a result, also where several machines share a folder.

Locks of the system (``flock``) do not hold on every network folder. A lease is a file that exists:
creating one exclusively is atomic wherever folders are shared (``open(2)``, O_EXCL). Its holder
touches it every few seconds. It is dead once it was not touched for a while, by the clock of the
folder, as clocks of machines differ; and at once where its process ran on this machine and is gone.

A worker that was suspended for longer than that wakes up without its lease. No file can keep it
from going on, so a lease only saves work: :mod:`camzoo.harness.store` gives every worker a folder
of its own and publishes it under a name that is taken once, whoever holds what.

``filelock.SoftFileLease`` has the same shape, but takes a dead lease over by swapping two names in
one step (``renameat2`` with RENAME_EXCHANGE), which NFS refuses: there a killed worker would be
waited for without end. Here a dead lease is replaced by whoever holds a lease on replacing it.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import TypeAdapter

#: How often a holder touches its leases.
BEAT_SECONDS: Final = 10.0
#: Age at which a lease is dead. A library that lets no other thread run for as long is not known.
DEAD_AFTER_SECONDS: Final = 120.0
#: How often one that waits looks again.
_LOOK_SECONDS: Final = 1.0
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as its file says.

    Attributes:
        host: Name of the machine.
        pid: Number of the process.
        since: Local time of the machine at which it was taken, ISO 8601.
        machine: Tells where the number of the process means something: the boot of a machine and
            its namespace of processes; None where the system does not say.
        started: Start of the process in ticks since the boot; numbers are used again.
        worker: Tells workers apart.
    """

    host: str
    pid: int
    since: str
    machine: str | None
    started: int | None
    worker: str

    @classmethod
    def here(cls) -> Holder:
        """Describe this process as a new worker."""
        pid, now = os.getpid(), time.strftime("%Y-%m-%dT%H:%M:%S")
        return cls(platform.node(), pid, now, _machine(), _started(pid), secrets.token_hex(8))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since.replace('T', ' ')}"

    @property
    def is_gone(self) -> bool:
        """Whether its process ran on this machine and has ended."""
        local = self.machine is not None and self.machine == _machine()
        return local and _started(self.pid) != self.started


_HOLDER: Final = TypeAdapter(Holder)
#: In the place of who wrote nothing readable yet, or never came to.
_UNKNOWN: Final = Holder("an unknown machine", 0, "an unknown time", None, None, "")


@dataclass(frozen=True)
class _Seen:
    """A lease as it was found: who holds it, when it was touched, and which file it is."""

    holder: Holder
    touched: float
    file: tuple[int, int]


class Leases:
    """The leases of one worker, which a thread keeps alive while the body of a ``with`` runs.

    Args:
        beat: Seconds between two touches.
        dead_after: Age in seconds at which leases of others are dead; the same for all workers.

    Attributes:
        holder: This worker.
    """

    def __init__(self, beat: float = BEAT_SECONDS, dead_after: float = DEAD_AFTER_SECONDS) -> None:
        self.holder = Holder.here()
        self._beat, self._dead_after = beat, dead_after
        self._held: dict[Path, int] = {}  # each with an open descriptor
        self._told: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="camzoo-leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        for path in list(self._held):
            self._give_back(path)

    def take(self, path: Path, waiting: Callable[[Holder], None] = lambda _holder: None) -> None:
        """Take a lease, after whoever holds it.

        Args:
            path: Its file; the folder is made.
            waiting: Told once of every worker that is waited for.

        Raises:
            OSError: The folder cannot be written.
        """
        while not self.try_take(path):
            time.sleep(_LOOK_SECONDS)  # in which who has just created it writes who it is
            seen = _look(path)
            if seen is not None and seen.holder.worker not in self._told:
                self._told.add(seen.holder.worker)
                waiting(seen.holder)

    def try_take(self, path: Path) -> bool:
        """Take a lease if nobody alive holds it; say whether that was so."""
        path.parent.mkdir(parents=True, exist_ok=True)
        seen = _look(path)
        if seen is None:
            return self._create(path, path)
        return _is_dead(seen, path.parent, self._dead_after) and self._take_over(path, seen)

    def _take_over(self, path: Path, seen: _Seen) -> bool:
        """Put an own lease in the place of a dead one; False where another worker was faster.

        One at a time may: who holds a lease on replacing that very file, which is named after it.
        Who has that later finds another file in its place.
        """
        right = path.with_name(f"{path.name}-{seen.file[1]:x}")
        if not self.try_take(right):
            return False
        try:
            now = _look(path)
            if now is None or (now.file, now.holder) != (seen.file, seen.holder):
                return False
            own = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
            self._create(own, path)
            own.replace(path)
        finally:
            self._give_back(right)
        return True

    def holds(self, path: Path) -> bool:
        """Whether a lease that was taken has not been taken over since."""
        descriptor = self._held.get(path)
        return descriptor is not None and _is_file(path, descriptor)

    def _give_back(self, path: Path) -> None:
        """Let others take a lease; one that was taken over is theirs already."""
        own, descriptor = self.holds(path), self._held.pop(path)
        os.close(descriptor)
        if own:
            with suppress(OSError):
                path.unlink()

    def _create(self, file: Path, path: Path) -> bool:
        """Write who holds the lease ``path`` to a file that is not there yet."""
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, json.dumps(asdict(self.holder)).encode())
            os.fsync(descriptor)
        except OSError:
            file.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._held[path] = descriptor
        return True

    def _keep(self) -> None:
        while not self._over.wait(self._beat):
            for path in list(self._held):
                if self.holds(path):
                    with suppress(OSError):  # the folder may be away for a while
                        os.utime(path)


def holder_of(path: Path, dead_after: float = DEAD_AFTER_SECONDS) -> Holder | None:
    """Say who alive holds the lease of a file; None where nobody does."""
    seen = _look(path)
    return None if seen is None or _is_dead(seen, path.parent, dead_after) else seen.holder


def _look(path: Path) -> _Seen | None:
    """Read a lease; None where there is none. Opening it asks the server how old it is."""
    try:
        with path.open("rb") as file:
            status, text = os.fstat(file.fileno()), file.read()
    except FileNotFoundError:
        return None
    try:
        holder = _HOLDER.validate_json(text)
    except ValueError:
        holder = _UNKNOWN
    return _Seen(holder, status.st_mtime, (status.st_dev, status.st_ino))


def _is_dead(seen: _Seen, folder: Path, dead_after: float) -> bool:
    return seen.holder.is_gone or _now(folder) - seen.touched > dead_after


def _now(folder: Path) -> float:
    """The time by the clock of a folder; by one's own where it cannot be written."""
    probe = folder / f".clock-{secrets.token_hex(8)}"
    try:
        probe.touch(exist_ok=False)
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return time.time()


def _is_file(path: Path, descriptor: int) -> bool:
    """Whether an open file is still what a name stands for."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _machine() -> str | None:
    """Name the boot of this machine and the namespace of its processes."""
    try:
        return f"{_BOOT.read_text('utf-8').strip()}/{_PROCESSES.stat().st_ino}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """Start of a process in ticks since the boot (proc(5), field 22); None where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie has ended: who started it has not asked yet how.
    return None if fields[0] in "ZX" else int(fields[19])
