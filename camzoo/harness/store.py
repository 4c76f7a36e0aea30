"""Results of stages, kept under a hash of all that they depend on.

A folder is visible under its final name only when it is complete, so a run that is killed leaves
nothing that a later run could mistake for a result. What a stage had begun stays in a work folder
of its own; a stage that can go on from there (training, from its last epoch) finds it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock

from camzoo.core.files import storing, write_text
from camzoo.core.progress import Quiet, Reporter
from camzoo.harness.cost import CostMeter

Key = Mapping[str, Any]
#: In the folder of an artifact: when it was made, and what that took.
_MADE: Final = "made.json"


@dataclass(frozen=True)
class Work:
    """How much there is to compute for a result, so that its time can be foretold from others'.

    Attributes:
        kind: Results of one kind take times in proportion to their amounts.
        amount: Pixels that go through a network, voxels that are compared, and the like.
    """

    kind: str
    amount: float


@dataclass(frozen=True)
class Made:
    """What making an artifact took.

    Attributes:
        when: Local time at which it was finished, ISO 8601.
        seconds: Wall time; of results that were made together each has its share.
        memory_mib: High-water mark of the process meanwhile; None where the system does not tell.
        cuda_mib: Likewise of the CUDA device.
        resumed: Whether it went on from an interrupted attempt, whose time is not in it.
        work: What was computed; None where the stage does not say.
        device: Where it was computed.
        threads: On how many threads of the processor.
    """

    when: str
    seconds: float
    memory_mib: float | None
    cuda_mib: float | None
    resumed: bool
    work: Work | None
    device: str
    threads: int


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
        work = told.pop("work")
        return Made(**told, work=Work(**work) if work else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
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
        self._reporter = reporter or Quiet()
        self._device = device or torch.device("cpu")
        self._seen: set[str] = set()

    def find(self, stage: str, key: Key) -> Artifact:
        """Say where the artifact of ``key`` is, or would be: its folder need not exist."""
        digest = hashlib.sha256(f"{stage}\n{_canonical(key)}".encode()).hexdigest()[:16]
        return Artifact(self.root / stage / digest, digest)

    def when(self, artifact: Artifact) -> str | None:
        """Say when an artifact was made, in local time; None where it is not there."""
        if not artifact.folder.exists():
            return None
        return artifact.made.when if artifact.made else _modified(artifact.folder)

    def get(
        self,
        stage: str,
        key: Key,
        make: Callable[[Path], None],
        *,
        title: str = "",
        work: Work | None = None,
        resumable: bool = False,
    ) -> Artifact:
        """Return the artifact of ``key``, making it where it is not there yet.

        Args:
            stage: Name of the stage.
            key: All that the result depends on, as JSON.
            make: Fills the folder it is given.
            title: How people call the result; by default the stage.
            work: How much there is to compute.
            resumable: Whether ``make`` goes on from what an interrupted call left in the folder.

        Raises:
            StorageError: The folder cannot be written or read.
        """

        def make_one(folders: dict[str, Path]) -> set[str]:
            make(folders[""])
            return {""}

        works = {"": work} if work else {}
        return self.get_all(
            stage, {"": key}, make_one, title=title, works=works, resumable=resumable
        )[""]

    def get_all(
        self,
        stage: str,
        keys: Mapping[str, Key],
        make: Callable[[dict[str, Path]], set[str]],
        *,
        title: str = "",
        works: Mapping[str, Work] | None = None,
        resumable: bool = False,
    ) -> dict[str, Artifact]:
        """Return the artifacts of several keys, by name.

        ``make`` is called once, with the folders of those that are missing, and returns the names
        that it completed; the others have no artifact. Where several names have one key, it is
        called with the first of them. Another process that makes the same artifact is waited for,
        not raced.

        Raises:
            StorageError: The folder cannot be written or read.
        """
        artifacts = {name: self.find(stage, key) for name, key in keys.items()}
        first = {artifact: name for name, artifact in reversed(artifacts.items())}
        with storing(self.root), ExitStack() as locks:
            for artifact in sorted(first, key=lambda a: a.digest):
                if not artifact.folder.exists():
                    locks.enter_context(_locked(_work(artifact.folder).with_suffix(".lock")))
            missing = {
                name: _work(artifact.folder)
                for name, artifact in artifacts.items()
                if first[artifact] == name and not artifact.folder.exists()
            }
            there = {
                name: artifact
                for name, artifact in artifacts.items()
                if first[artifact] == name and name not in missing
            }
            self._say_found(stage, title or stage, there)
            if missing:
                resumed = any(folder.exists() for folder in missing.values())
                _clear(missing.values(), keep=resumable)
                with CostMeter(self._device) as meter:
                    done = sorted(make(dict(missing)))
                for name in done:
                    write_text(missing[name] / "key.json", _canonical(keys[name]))
                    took = self._took(
                        meter, len(done), resumable and resumed, (works or {}).get(name)
                    )
                    write_text(missing[name] / _MADE, json.dumps(asdict(took), indent=1))
                    missing[name].rename(artifacts[name].folder)
                self._count(self.made, stage, [artifacts[name] for name in done])
            return {name: a for name, a in artifacts.items() if a.folder.exists()}

    def _took(self, meter: CostMeter, shares: int, resumed: bool, work: Work | None) -> Made:
        return Made(
            when=time.strftime("%Y-%m-%dT%H:%M:%S"),
            seconds=meter.seconds / shares,
            memory_mib=meter.memory_mib,
            cuda_mib=meter.cuda_mib,
            resumed=resumed,
            work=work,
            device=self._device.type,
            threads=torch.get_num_threads(),
        )

    def _say_found(self, stage: str, title: str, there: Mapping[str, Artifact]) -> None:
        """Tell once what need not be made, with the time at which it was."""
        new = {name: a for name, a in there.items() if a.digest not in self._seen}
        self._count(self.found, stage, list(new.values()))
        if new:
            names = f" {', '.join(new)}" if any(new) else ""
            whens = [when for a in new.values() if (when := self.when(a))]
            self._reporter.note(f"{title}: found{names} (made {_span(whens)})")
            for name, artifact in new.items():
                self._reporter.detail(f"  {name or title}: {artifact.folder}")

    def _count(self, counter: Counter[str], stage: str, artifacts: Sequence[Artifact]) -> None:
        new = len([a for a in artifacts if a.digest not in self._seen])
        if new:
            counter[stage] += new
        self._seen.update(a.digest for a in artifacts)


def _clear(folders: Iterable[Path], *, keep: bool) -> None:
    for folder in folders:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)


def _modified(folder: Path) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(folder.stat().st_mtime))


def _span(whens: Sequence[str]) -> str:
    """From the first to the last of some times, to the minute."""
    first, last = (when[:16].replace("T", " ") for when in (min(whens), max(whens)))
    return first if first == last else f"{first} to {last}"


def _canonical(key: Key) -> str:
    return json.dumps(key, sort_keys=True, indent=1)


def _work(final: Path) -> Path:
    return final.with_name(f".work-{final.name}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock of the system on a file; it goes with the process, also when that is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
