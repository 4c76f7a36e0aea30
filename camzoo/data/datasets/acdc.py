"""ACDC 2017: short-axis cine MR of the heart, end diastole and end systole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from camzoo.core.errors import ConfigError, DataError
from camzoo.core.text import shortly
from camzoo.data.datasets.base import Case, Facts, Fractions, register_dataset
from camzoo.data.datasets.file_dataset import FileDataset, unless_hidden, visible_files
from camzoo.data.disk import read_text
from camzoo.data.readers import volume_stem
from camzoo.data.volume import Volume

#: Structures -> (organ names, value in the file -> class).
_STRUCTURES: Final[dict[str, tuple[tuple[str, ...], dict[int, int]]]] = {
    "lv": (("left ventricle",), {1: 0, 2: 0, 3: 1}),
    "all": (("right ventricle", "myocardium", "left ventricle"), {1: 1, 2: 2, 3: 3}),
}
#: Of the longest frame number; a cycle of the heart has some dozen frames.
_DIGITS: Final = 6


@register_dataset("acdc")
class ACDC(FileDataset):
    """ACDC in its official layout; one case per patient and phase.

    Args:
        root: Folder with ``training/`` and ``testing/``, with the ``patientNNN`` folders, or the
            archive as it was unpacked (``database/training/``).
        structures: "lv" for the cavity of the left ventricle alone, "all" for the right ventricle,
            the myocardium and the left ventricle.

    Raises:
        ConfigError: ``structures`` is none of these.
    """

    facts = Facts(
        title="ACDC (Automated Cardiac Diagnosis Challenge, 2017)",
        citation="Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac "
        "Multi-structures Segmentation and Diagnosis: Is the Problem Solved?, IEEE Transactions on "
        "Medical Imaging 37(11), 2018, doi:10.1109/TMI.2018.2837502",
        licence="terms of the challenge: non-commercial research, citation required",
        where="https://humanheart-project.creatis.insa-lyon.fr/database/ (free, by registration)",
        caveats=(
            "short-axis slices: the slice axis follows the heart, not the body",
            "nearly every slice shows the left ventricle, so its tag teaches little",
        ),
    )
    marks = ("patient[0-9][0-9][0-9]", "training/patient*", "testing/patient*")
    tops = ("database", "ACDC/database", "ACDC")
    layout = (
        "patientNNN/ with Info.cfg and patientNNN_frameMM.nii.gz, there, in training/ or in "
        "database/training/"
    )
    split = Fractions(test=0.25, val=0.1)

    def __init__(self, root: Path | None, *, structures: Literal["lv", "all"] = "lv") -> None:
        super().__init__(root)
        if structures not in _STRUCTURES:
            raise ConfigError(f"structures must be one of {', '.join(_STRUCTURES)}: {structures!r}")
        self.organs, self.values = _STRUCTURES[structures]

    def find(self) -> Iterator[Case]:
        """Two cases per patient folder; the owners' test set is those in ``testing/``."""
        yield from _patients(self.root, None)
        yield from _patients(self.root / "training", "train")
        yield from unless_hidden(_patients(self.root / "testing", "test"))

    def image(self, case: Case) -> Volume:
        """Read the scan of ``case``; fails as its ``Info.cfg`` does."""
        _frames(case.files[2])
        return super().image(case)


def _patients(folder: Path, official: Literal["train", "test"] | None) -> Iterator[Case]:
    for patient in sorted(folder.glob("patient[0-9][0-9][0-9]")):
        info = patient / "Info.cfg"
        try:
            frames = [f"{patient.name}_frame{number:02d}" for number in _frames(info)]
        except DataError:
            frames = [patient.name]
        for name in frames:
            files = (_volume(patient, name), _volume(patient, f"{name}_gt"), info)
            yield Case(name, patient.name, files, official)


def _volume(folder: Path, name: str) -> Path:
    """The file called ``name``, whatever its ending; what is lost was a ``.nii.gz``."""
    named = (file for file in visible_files(folder) if volume_stem(file) == name)
    return next(named, folder / f"{name}.nii.gz")


def _frames(info: Path) -> tuple[int, int]:
    """Numbers of the end-diastolic and the end-systolic frame."""
    try:
        text = read_text(info)
    except DataError as error:
        raise DataError(
            f"patient {info.parent.name}: {error} (it names the frames ED and ES: copy it from the "
            "archive)"
        ) from error
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    found = {key: fields.get(key, "").strip() for key in ("ED", "ES")}
    are_numbers = all(v.isdecimal() and len(v) <= _DIGITS for v in found.values())
    if not are_numbers or found["ED"] == found["ES"]:
        raise DataError(
            f"patient {info.parent.name}: {info}: expected two different frame numbers, as in "
            f"'ED: 1' and 'ES: 12', got ED {shortly(found['ED'])} and ES "
            f"{shortly(found['ES'])}"
        )
    return int(found["ED"]), int(found["ES"])
