"""Results of stages, kept under a hash of all that they depend on.

A folder is visible under its final name only when it is complete, so a run that is killed leaves
nothing that a later run could mistake for a result. Every worker fills a folder of its own, and the
first that is through publishes it, in one step, under a name that is taken once: no result is ever
written over. Leases (:mod:`camzoo.harness.lease`) keep others from doing the same work meanwhile.
What a worker had begun stays; a stage that can go on from there (training, from its last epoch) is
given a copy. A result keeps its key, the checksums of its files, and what made it; one whose files
are not what was written is set aside and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch

from camzoo.core.checksums import SUMS, verify_sums, write_sums
from camzoo.core.environment import describe
from camzoo.core.errors import DamagedError
from camzoo.core.files import storing, write_text
from camzoo.core.progress import Quiet, Reporter
from camzoo.core.stored import made_again
from camzoo.harness.cost import CostMeter
from camzoo.harness.lease import Holder, Leases, holder_of
from camzoo.harness.stage import Key, Request, Work
from camzoo.harness.work_folders import aside_of, begin, lease_of, publish

#: In the folder of an artifact, beside its files and their checksums.
_KEY: Final = "key.json"
_MADE: Final = "made.json"


@dataclass(frozen=True)
class Made:
    """What making an artifact took, and what made it.

    Attributes:
        when: Local time at which it was finished, ISO 8601.
        seconds: Wall time; of results that were made together each has its share.
        memory_mib: High-water mark of the process meanwhile; None where the system does not tell.
        cuda_mib: Likewise of the CUDA device.
        resumed: Whether it went on from an interrupted attempt, whose time is not in it.
        work: What was computed.
        environment: Machine, packages and commit (:func:`camzoo.core.environment.describe`).
        cpu_seconds: Time of the processor, shared out likewise; None where it was not measured.
    """

    when: str
    seconds: float
    memory_mib: float | None
    cuda_mib: float | None
    resumed: bool
    work: Work
    environment: Mapping[str, Any]
    cpu_seconds: float | None = None

    @property
    def device(self) -> str:
        """Kind of device on which it was computed."""
        return str(self.environment["device"])

    @property
    def threads(self) -> int:
        """Threads of the processor on which it was computed."""
        return int(self.environment["threads"])


@dataclass(frozen=True)
class Artifact:
    """The result of a stage.

    Attributes:
        folder: Where its files are.
        digest: Hash of all that it depends on; part of the key of stages that read it.
    """

    folder: Path
    digest: str

    @property
    def made(self) -> Made | None:
        """What making it took; None where that was not written down or cannot be read."""
        return read_made(self.folder)


def read_made(folder: Path) -> Made | None:
    """Read what making the artifact in ``folder`` took; None where nothing readable says so."""
    try:
        told = json.loads((folder / _MADE).read_text("utf-8"))
        work, environment = Work(**told.pop("work")), dict(told.pop("environment"))
        made = Made(**told, work=work, environment=environment)
        sound = bool(made.device) and made.threads > 0
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return made if sound else None


def fault_of(folder: Path) -> str | None:
    """Say which file of the artifact in ``folder`` is not what was written; None where all are."""
    try:
        verify_sums(folder, _names_in(folder), made_again)
    except DamagedError as error:
        return str(error).partition(";")[0]
    return None


class Store:
    """A folder of artifacts, one sub-folder per stage.

    Args:
        root: The folder.
        reporter: Told what is found.
        device: Where results are computed.

    Attributes:
        made: Number of results made through this object, by stage.
        found: Likewise of those that were there already.
        used: All results that were asked for, as manifests name them (``maps/1f…``).
    """

    def __init__(
        self,
        root: Path,
        reporter: Reporter | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.root = root
        self.made: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.used: set[str] = set()
        self._reporter = reporter or Quiet()
        self._device = device or torch.device("cpu")
        self._counted: set[str] = set()
        self._intact: set[Path] = set()

    @cached_property
    def environment(self) -> dict[str, object]:
        """Machine, packages and commit that results are made with."""
        return describe(self._device)

    def find(self, stage: str, key: Key) -> Artifact:
        """Say where the artifact of ``key`` is, or would be: its folder need not exist."""
        digest = hashlib.sha256(f"{stage}\n{_canonical(key)}".encode()).hexdigest()[:16]
        return Artifact(self.root / stage / digest, digest)

    def when(self, artifact: Artifact) -> str | None:
        """Say when an artifact was made, in local time; None where it is not there."""
        if not artifact.folder.exists():
            return None
        return artifact.made.when if artifact.made else _modified(artifact.folder)

    def is_being_made(self, artifact: Artifact) -> bool:
        """Say whether a process makes an artifact, here or on a machine that shares the folder."""
        return holder_of(lease_of(artifact.folder)) is not None

    def get(self, request: Request, make: Callable[[Path], object]) -> Artifact:
        """Return the artifact of a request; ``make`` fills its folder where it is not there yet.

        Raises:
            StorageError: The folder cannot be written or read.
        """

        def make_one(folders: Mapping[str, Path]) -> set[str]:
            make(folders[""])
            return {""}

        return self.get_all({"": request}, make_one)[""]

    def get_all(
        self,
        requests: Mapping[str, Request],
        make: Callable[[Mapping[str, Path]], Iterable[str]],
    ) -> dict[str, Artifact]:
        """Return the artifacts of several requests to one stage, by name.

        ``make`` is called once, with the folders of those that are missing, and returns the names
        that it completed; the others have no artifact. Where several names have one key, it is
        called with the first of them. Another process that makes the same artifact is waited for,
        not raced.

        Raises:
            StorageError: The folder cannot be written or read.
        """
        artifacts = {name: self._artifact(request) for name, request in requests.items()}
        first = {artifact: name for name, artifact in reversed(artifacts.items())}
        once = {name: a for name, a in artifacts.items() if first[a] == name}
        with storing(self.root), ExitStack() as stack:
            wanted = {name: a for name, a in once.items() if self._fault(a) is not None}
            missing: dict[str, Artifact] = {}
            if wanted:
                leases = stack.enter_context(Leases())
                for name in sorted(wanted, key=lambda name: wanted[name].digest):
                    leases.take(lease_of(wanted[name].folder), self._waiting(requests[name]))
                # Another process may have made it while this one waited.
                missing = {name: a for name, a in wanted.items() if self._is_missing(a)}
            there = {name: a for name, a in once.items() if name not in missing}
            self._say_found({n: requests[n] for n in there}, there)
            if missing:
                self._make({n: requests[n] for n in missing}, missing, make, leases.holder.worker)
            made = {name: a for name, a in artifacts.items() if a.folder.exists()}
            self.used.update(self.name(artifact.folder) for artifact in made.values())
            return made

    def name(self, folder: Path) -> str:
        """Name a folder of the store as manifests do: wherever the store is moved, it stays."""
        return folder.relative_to(self.root).as_posix()

    def _waiting(self, request: Request) -> Callable[[Holder], None]:
        return lambda holder: self._reporter.note(f"{request.title}: waits for {holder}")

    def _artifact(self, request: Request) -> Artifact:
        if request.key is None:
            raise ValueError(f"{request.title}: its key is not known yet")
        return self.find(request.stage.name, request.key)

    def _fault(self, artifact: Artifact) -> str | None:
        """What is wrong with the folder of an artifact; looked for once, as it takes a while."""
        if not artifact.folder.exists():
            return "it is not there"
        if artifact.folder not in self._intact:
            if fault := fault_of(artifact.folder):
                return fault
            self._intact.add(artifact.folder)
        return None

    def _is_missing(self, artifact: Artifact) -> bool:
        """Whether an artifact is to be made; one that is damaged is set aside first."""
        fault = self._fault(artifact)
        if fault is not None and artifact.folder.exists():
            aside = aside_of(artifact.folder, "damaged")
            shutil.rmtree(aside, ignore_errors=True)
            artifact.folder.rename(aside)
            self._reporter.note(f"{fault}; it is made again, the damaged one is kept as {aside}")
        return fault is not None

    def _make(
        self,
        requests: Mapping[str, Request],
        artifacts: Mapping[str, Artifact],
        make: Callable[[Mapping[str, Path]], Iterable[str]],
        worker: str,
    ) -> None:
        stage = next(iter(requests.values())).stage
        begun = {n: begin(a.folder, worker, resume=stage.resumable) for n, a in artifacts.items()}
        resumed = any(left for _, left in begun.values())
        with CostMeter(self._device) as meter:
            done = sorted(make({name: folder for name, (folder, _) in begun.items()}))
        for name in done:
            (folder, _), request = begun[name], requests[name]
            write_text(folder / _KEY, _canonical(request.key or {}))
            write_sums(folder, _names_in(folder))
            made = Made(
                when=time.strftime("%Y-%m-%dT%H:%M:%S"),
                seconds=meter.seconds / len(done),
                memory_mib=meter.memory_mib,
                cuda_mib=meter.cuda_mib,
                resumed=resumed,
                work=request.work,
                environment=self.environment,
                cpu_seconds=meter.cpu_seconds / len(done),
            )
            write_text(folder / _MADE, json.dumps(asdict(made), indent=1))
            if publish(folder, artifacts[name].folder):
                self._intact.add(artifacts[name].folder)
            else:
                self._reporter.note(f"{request.title}: another worker was faster; its is used")
        self._count(self.made, stage.name, [artifacts[name] for name in done])

    def _say_found(self, requests: Mapping[str, Request], there: Mapping[str, Artifact]) -> None:
        """Tell once what need not be made, with the time at which it was."""
        new = {name: a for name, a in there.items() if a.digest not in self._counted}
        if not new:
            return
        request = next(iter(requests.values()))
        self._count(self.found, request.stage.name, list(new.values()))
        names = f" {', '.join(new)}" if any(new) else ""
        whens = [when for a in new.values() if (when := self.when(a))]
        self._reporter.note(f"{request.title}: found{names} (made {_span(whens)})")
        for name, artifact in new.items():
            with suppress(OSError):  # the store may be there to be read alone
                os.utime(artifact.folder)  # when it was used last, for who clears up
            self._reporter.detail(f"  {name or request.title}: {artifact.folder}")

    def _count(self, counter: Counter[str], stage: str, artifacts: Sequence[Artifact]) -> None:
        new = {a.digest for a in artifacts} - self._counted
        if new:
            counter[stage] += len(new)
        self._counted |= new


def _names_in(folder: Path) -> list[str]:
    """The files of an artifact but for what making it took, from which no number comes."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if name not in (SUMS, _MADE))


def _modified(folder: Path) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(folder.stat().st_mtime))


def _span(whens: Sequence[str]) -> str:
    """From the first to the last of some times, to the minute."""
    first, last = (when[:16].replace("T", " ") for when in (min(whens), max(whens)))
    return first if first == last else f"{first} to {last}"


def _canonical(key: Key) -> str:
    return json.dumps(key, sort_keys=True, indent=1)
