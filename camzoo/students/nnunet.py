"""nnU-Net v2 as a student: its own commands, on a raw data set of pseudo-masks.

Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
segmentation", Nature Methods 18, 2021. Nothing of it is imported here: its commands are called.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from camzoo.core.errors import CamzooError, ConfigError
from camzoo.core.progress import Reporter
from camzoo.students.nnunet_raw import RawFolder

#: Environment variables in which nnU-Net looks for its folders, and what those are called here.
_FOLDERS: Final = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
#: All training cases are learnt; none is held out, as pseudo-masks judge nothing.
_ALL: Final = "all"
#: nnU-Net mirrors what it learns from, also left organs onto right ones, unless told otherwise.
_MIRRORING: Final = "nnUNetTrainer"
_NOT_MIRRORING: Final = "nnUNetTrainerNoMirroring"
#: Lines of a command that failed which are shown.
_LAST: Final = 3


def fitting_trainer(*, sided: bool) -> str:
    """Name the trainer of nnU-Net that suits organs, which may be named by the side of the body."""
    return _NOT_MIRRORING if sided else _MIRRORING


@dataclass(frozen=True)
class Student:
    """How nnU-Net learns.

    Attributes:
        raw: Its data set.
        configuration: ``2d``, ``3d_fullres`` or another of its plans.
        trainer: Class of its trainer.
        device: ``cpu`` or ``cuda``.
    """

    raw: RawFolder
    configuration: str
    trainer: str
    device: str

    @property
    def predictions(self) -> Path:
        """Where it leaves its masks of the test cases."""
        return self.raw.path / f"predictionsTs-{self.configuration}-{self.trainer}"

    @property
    def folders(self) -> dict[str, str]:
        """Environment variables of nnU-Net; what is set already stays, but for the raw data."""
        raw = self.raw.path.resolve().parent
        own = {name: os.environ.get(name, str(raw.parent / name)) for name in _FOLDERS}
        return own | {_FOLDERS[0]: str(raw)}

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """What is called, in this order."""
        number = self.raw.number
        trainer = ("-tr", self.trainer, "-device", self.device)
        return (
            ("nnUNetv2_plan_and_preprocess", "-d", number, "-c", self.configuration),
            ("nnUNetv2_train", number, self.configuration, _ALL, *trainer),
            (
                "nnUNetv2_predict", "-i", str(self.raw.test_scans), "-o", str(self.predictions),
                "-d", number, "-c", self.configuration, "-f", _ALL, *trainer,
            ),
        )  # fmt: skip

    def lines(self, organs: Sequence[str]) -> list[str]:
        """Return the same for a shell, and how what it predicts is scored."""
        exports = " ".join(f"{k}={shlex.quote(v)}" for k, v in self.folders.items())
        score = (
            "camzoo", "score", "--preds", self.predictions, "--masks", self.raw.references,
            "--patients", self.raw.patients, "--organs", ",".join(organs),
        )  # fmt: skip
        return [
            f"export {exports}",
            *(shlex.join(command) for command in self.commands),
            shlex.join(map(str, score)),
        ]

    def train(self, reporter: Reporter) -> None:
        """Plan, train and predict; what nnU-Net says is kept in ``nnunet.log``.

        Raises:
            ConfigError: nnU-Net is not installed.
            CamzooError: One of its commands fails.
        """
        programs = [_program(command[0]) for command in self.commands]
        log = self.raw.path / "nnunet.log"
        for program, command in zip(programs, self.commands, strict=True):
            with reporter.stage(command[0]), log.open("ab") as said:
                done = subprocess.run(
                    [program, *command[1:]], env={**os.environ, **self.folders},
                    stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, check=False,
                )  # fmt: skip
            if done.returncode:
                last = log.read_text(encoding="utf-8", errors="replace").split("\n")[-_LAST - 1 :]
                raise CamzooError(
                    f"{shlex.join(command)} ended with exit code {done.returncode}: "
                    f"{' '.join(' '.join(last).split())}; all that it said is in {log}"
                )


def require_installed() -> None:
    """Refuse to go on without nnU-Net.

    Raises:
        ConfigError: It is not installed.
    """
    _program("nnUNetv2_train")


def _program(name: str) -> str:
    """The command beside the Python that runs, or one that the shell finds."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        there = importlib.util.find_spec("nnunetv2") is not None
        raise ConfigError(
            f"no command {name} is found"
            f"{', though nnunetv2 can be imported' if there else ''}: pip install 'camzoo[nnunet]',"
            " or leave out --train and run the commands that are printed where nnU-Net is"
        )
    return found
