"""Results of stages, kept under a hash of all that they depend on.

A folder is visible under its final name only when it is complete, so a run that is killed leaves
nothing that a later run could mistake for a result. What a stage had begun stays in a work folder
of its own; a stage that can go on from there (training, from its last epoch) finds it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camzoo.files import write_text

Key = Mapping[str, Any]


@dataclass(frozen=True)
class Artifact:
    """The result of a stage.

    Attributes:
        folder: Where its files are.
        digest: Hash of all that it depends on; part of the key of stages that read it.
    """

    folder: Path
    digest: str


class Store:
    """A folder of artifacts, one sub-folder per stage."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(
        self, stage: str, key: Key, make: Callable[[Path], None], *, resumable: bool = False
    ) -> Artifact:
        """Return the artifact of ``key``, making it where it is not there yet.

        Args:
            stage: Name of the stage.
            key: All that the result depends on, as JSON.
            make: Fills the folder it is given.
            resumable: Whether ``make`` goes on from what an interrupted call left in the folder.
        """

        def make_one(folders: dict[str, Path]) -> set[str]:
            make(folders[""])
            return {""}

        return self.get_all(stage, {"": key}, make_one, resumable=resumable)[""]

    def get_all(
        self,
        stage: str,
        keys: Mapping[str, Key],
        make: Callable[[dict[str, Path]], set[str]],
        *,
        resumable: bool = False,
    ) -> dict[str, Artifact]:
        """Return the artifacts of several keys, by name.

        ``make`` is called once, with the folders of those that are missing, and returns the names
        that it completed; the others have no artifact. Where several names have one key, it is
        called with the first of them. Another process that makes the same artifact is waited for,
        not raced.
        """
        artifacts = {name: self._artifact(stage, key) for name, key in keys.items()}
        first = {artifact: name for name, artifact in reversed(artifacts.items())}
        with ExitStack() as locks:
            for artifact in sorted(first, key=lambda a: a.digest):
                if not artifact.folder.exists():
                    locks.enter_context(_locked(_work(artifact.folder).with_suffix(".lock")))
            missing = {
                name: _work(artifact.folder)
                for name, artifact in artifacts.items()
                if first[artifact] == name and not artifact.folder.exists()
            }
            if not missing:
                return artifacts
            for folder in missing.values():
                if not resumable:
                    shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True, exist_ok=True)
            for name in make(dict(missing)):
                write_text(missing[name] / "key.json", _canonical(keys[name]))
                missing[name].rename(artifacts[name].folder)
        return {name: a for name, a in artifacts.items() if a.folder.exists()}

    def _artifact(self, stage: str, key: Key) -> Artifact:
        digest = hashlib.sha256(f"{stage}\n{_canonical(key)}".encode()).hexdigest()[:16]
        return Artifact(self.root / stage / digest, digest)


def _canonical(key: Key) -> str:
    return json.dumps(key, sort_keys=True, indent=1)


def _work(final: Path) -> Path:
    return final.with_name(f".work-{final.name}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock; it goes with the process, also when that is killed.

    The empty file stays: deleting it would let a third process lock a new one beside a waiting one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
