"""Any data set in the raw format of nnU-Net v2."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from camzoo.core.errors import ConfigError, DataError
from camzoo.core.names import as_name
from camzoo.core.text import shortly
from camzoo.data.datasets.base import Case, Facts, Fractions, register_dataset
from camzoo.data.datasets.file_dataset import FileDataset, remedy, visible_files
from camzoo.data.disk import named_faults, read_json_object
from camzoo.data.labels import UNKNOWN
from camzoo.data.notes import listed
from camzoo.data.readers import VOLUME_SUFFIXES, companions

_DESCRIPTION: Final = "dataset.json"
#: The environment variable in which nnU-Net v2 looks for its raw data sets.
_RAW: Final = "nnUNet_raw"
#: What nnU-Net calls the folder of a data set, in version 2 and in version 1.
_FOLDER: Final = re.compile(r"(Dataset|Task)\d{2,3}_.+")
#: nnU-Net's readers of pictures and of stacks that do not say how they lie.
_FLAT_READERS: Final = ("NaturalImage2DIO", "Tiff3DIO")
#: The case id is the patient.
_EACH_ITS_OWN: Final = "(.+)"
#: Ids that consist of a patient and a scan, and what is taken for such ids: at least so many
#: patients, each of at most so many scans. Ids of most sets are one word and a number.
_PATIENT_AND_SCAN: Final = "(.+)_[^_]+"
_PATIENTS: Final = 3
_SCANS: Final = 6


@register_dataset("nnunet")
class NNUNet(FileDataset):
    r"""A raw nnU-Net v2 folder: ``dataset.json``, ``imagesTr``, ``labelsTr`` and maybe ``..Ts``.

    ``imagesTs`` with ``labelsTs`` is taken as the owners' test set.

    Args:
        root: The ``DatasetNNN_Name`` folder; or its name, ``NNN`` or ``Name``, where the
            environment variable ``nnUNet_raw`` says in which folder it lies.
        channel: Which channel is the image.
        sided: Whether an organ's name depends on the side of the body. None says yes where a class
            name has the word "left" or "right" in it.
        patient: Regular expression for the whole case id whose first group is the patient. By
            default every case is a patient; set it where patients have several cases, as in
            ``(patient\d+)_.*``, or a patient-level split is none.

    Raises:
        ConfigError: ``patient`` is no regular expression with a group.
        DataError: ``dataset.json`` is missing, or describes labels that are no plain classes.
    """

    facts = Facts(
        title="nnU-Net raw data set",
        citation="Isensee et al., nnU-Net: a self-configuring method for deep learning-based "
        "biomedical image segmentation, Nature Methods 18, 2021, doi:10.1038/s41592-020-01008-z; "
        "and the owners of the data",
        licence="that of its owners",
        where="your own folder: see 'dataset_format.md' in the documentation of nnU-Net v2",
    )
    marks = ("dataset.json",)
    layout = "imagesTr/<id>_<channel>.<ending> with labelsTr/<id>.<ending>"
    split = Fractions(test=0.25, val=0.1)

    def __init__(
        self,
        root: Path | None,
        *,
        channel: int = 0,
        sided: bool | None = None,
        patient: str = _EACH_ITS_OWN,
    ) -> None:
        super().__init__(located(root))
        self._patient = _pattern(patient)
        self._description = _description(self.root)
        self._ending = _ending(self._described, self._description)
        self._channel = f"_{_known_channel(self.root, self._description, channel):04d}"
        self.organs = _organs(self._described, self._description["labels"])
        self.values = {value: value for value in range(1, len(self.organs) + 1)}
        named = any({"left", "right"} & set(re.split(r"[\W_]+", o.lower())) for o in self.organs)
        self.sided = named if sided is None else sided

    @property
    def own_name(self) -> str:
        """The name in ``dataset.json``, else that of a folder that is named as nnU-Net names them.

        Any other folder is called as somebody liked, and a copy of it differently.
        """
        stated, folder = self._description.get("name"), self.root.resolve().name
        named = folder if _FOLDER.fullmatch(folder) else None
        return as_name(stated) or as_name(named) or self.name

    def find(self) -> Iterator[Case]:
        """Every id that has an image or a label."""
        yield from self._subset("Tr", "train")
        if (self.root / "labelsTs").is_dir():
            yield from self._subset("Ts", "test")

    def notes(self) -> list[str]:
        """Files that are no cases, a number of cases that is another, patients that seem to repeat.

        Raises:
            DataError: A folder cannot be looked at.
        """
        with named_faults(self.root):
            strange = [
                *self._strange("imagesTr", r"(.+)_\d{4}"),
                *self._strange("labelsTr", "(.+)"),
            ]
            cases = list(self._subset("Tr", "train"))
        stated, there = self._description.get("numTraining"), len(cases)
        notes = []
        if strange:
            notes.append(
                f"ignored, since scans are called CASE_0000{self._ending} and labels "
                f"CASE{self._ending}, as {self._described.name} says: {listed(strange)}"
            )
        if stated is not None and stated != there:
            notes.append(
                f"{self._described.name} says numTraining = {shortly(stated)}, {there} cases are "
                "there"
            )
        if self._patient.pattern == _EACH_ITS_OWN:
            notes += _several_of_a_patient([case.id for case in cases])
        return notes

    @property
    def _described(self) -> Path:
        return self.root / _DESCRIPTION

    def _subset(self, which: str, official: Literal["train", "test"]) -> Iterator[Case]:
        images, labels = self.root / f"images{which}", self.root / f"labels{which}"
        image_of = self._by_id(images, self._channel)
        label_of = self._by_id(labels, "")
        for name in sorted(image_of.keys() | label_of.keys()):
            # What is lost is looked for under the name that it should have.
            image = image_of.get(name, images / (name + self._channel + self._ending))
            label = label_of.get(name, labels / (name + self._ending))
            files = (image, label, self._described)
            yield Case(name, self._patient_of(name), files, official)

    def _by_id(self, folder: Path, channel: str) -> dict[str, Path]:
        """The files of one channel by case id; endings in capitals count, too."""
        end = len(channel + self._ending)
        wanted = (channel + self._ending).lower()
        return {
            file.name[:-end]: file
            for file in visible_files(folder)
            if file.name.lower().endswith(wanted) and len(file.name) > end
        }

    def _strange(self, folder: str, stem: str) -> list[str]:
        """Files that are neither cases nor read with one."""
        files = visible_files(self.root / folder)
        pattern = re.compile(stem + re.escape(self._ending), re.IGNORECASE)
        known = {file for file in files if pattern.fullmatch(file.name)}
        known |= {voxels for file in known for voxels in companions(file)}
        return [f"{folder}/{file.name}" for file in files if file not in known]

    def _patient_of(self, case: str) -> str:
        found = self._patient.fullmatch(case)
        if found is None or not found[1]:
            raise DataError(
                f"case {case}: the option patient={self._patient.pattern} finds no patient in its "
                "id; correct the expression so that its first group is the patient"
            )
        return found[1]


def _several_of_a_patient(ids: Sequence[str]) -> list[str]:
    """Note ids that look like a patient and a scan, as ``patient001_frame01``."""
    scans: dict[str, list[str]] = {}
    for name in ids:
        scans.setdefault(name.rpartition("_")[0], []).append(name)
    several = [names for names in scans.values() if len(names) > 1]
    most = len(several) > len(scans) / 2 and max(map(len, several)) <= _SCANS
    if "" in scans or len(scans) < _PATIENTS or not most:
        return []
    note = (
        f"every case counts as a patient of its own, but ids look like {len(scans)} patients with "
        f"several cases ({listed(several[0])}): if they are, set the option "
        f"patient={_PATIENT_AND_SCAN}, or one patient stands in training and in test"
    )
    return [note]


def located(root: Path | None) -> Path | None:
    """Return the folder of a data set that is named as nnU-Net names it.

    Args:
        root: A folder, or the number, the name or both of a data set in the folder that the
            environment variable ``nnUNet_raw`` says. None for the only one there.

    Raises:
        ConfigError: There is no such data set in that folder, or there are several.
    """
    raw = os.environ.get(_RAW, "")
    if not raw or (root is not None and (root.is_dir() or len(root.parts) != 1)):
        return root
    name = "" if root is None else root.name
    present = sorted(p.name for p in Path(raw).glob("Dataset[0-9][0-9][0-9]_*") if p.is_dir())
    found = [p for p in present if _is_called(p, name)]
    if len(found) == 1:
        return Path(raw) / found[0]
    wanted = f"--root {name} names" if name else "without --root there are"
    raise ConfigError(
        f"{wanted} {len(found) or 'no'} data sets in nnUNet_raw={raw}, expected one; it has "
        f"{listed(present) or 'none'}"
    )


def _is_called(folder: str, name: str) -> bool:
    number, _, title = folder.removeprefix("Dataset").partition("_")
    if name.isdecimal():
        return int(number) == int(name)
    return name in ("", folder, f"Dataset{number}", title)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError) as error:
        raise ConfigError(f"patient={text!r} is no regular expression: {error}") from error
    if pattern.groups < 1:
        raise ConfigError(f"patient={text!r} has no group; put the patient's part in brackets")
    return pattern


def _description(root: Path) -> dict[str, Any]:
    path = root / _DESCRIPTION
    if not path.exists():
        raise DataError(
            f"{path} is missing; --root must be the DatasetNNN_Name folder of nnU-Net v2: "
            f"{remedy(NNUNet, root)}"
        )
    description = read_json_object(path)
    missing = {"channel_names", "labels", "file_ending"} - set(description)
    if missing:
        raise DataError(
            f"{path}: {', '.join(sorted(missing))} missing; this is not the format of nnU-Net v2 "
            "(older sets: nnUNetv2_convert_old_nnUNet_dataset or nnUNetv2_convert_MSD_dataset)"
        )
    if "dataset" in description:
        raise DataError(
            f"{path}: lists of files under 'dataset' are not followed; put the files into "
            "imagesTr and labelsTr"
        )
    for key in ("channel_names", "labels"):
        if not isinstance(description[key], dict) or not description[key]:
            raise DataError(
                f"{path}: expected {key} to be an object of names and values, got "
                f"{shortly(description[key])}"
            )
    reader = description.get("overwrite_image_reader_writer")
    if reader in _FLAT_READERS:
        raise DataError(
            f"{path}: overwrite_image_reader_writer {reader} reads pictures without a spacing in "
            f"three dimensions; camzoo reads {', '.join(VOLUME_SUFFIXES)}"
        )
    return description


def _ending(path: Path, description: dict[str, Any]) -> str:
    ending = description["file_ending"]
    if not isinstance(ending, str) or ending.lower() not in VOLUME_SUFFIXES:
        raise DataError(
            f"{path}: expected file_ending to be one of {', '.join(VOLUME_SUFFIXES)}, got "
            f"{shortly(ending)}"
        )
    return ending


def _known_channel(root: Path, description: dict[str, Any], channel: int) -> int:
    names = description["channel_names"]
    if str(channel) not in names:
        known = ", ".join(f"{number} ({name})" for number, name in names.items())
        raise ConfigError(f"{root}: channel {channel} does not exist; choose one of {known}")
    return channel


def _organs(path: Path, labels: dict[str, Any]) -> tuple[str, ...]:
    """Class names in label order, without the background."""
    if "ignore" in labels:
        raise DataError(
            f"{path}: the label 'ignore' marks voxels without a reference, which cannot be scored; "
            "use a data set that is labelled throughout"
        )
    regions = [name for name, value in labels.items() if isinstance(value, list)]
    if any(len(labels[name]) > 1 for name in regions):
        raise DataError(
            f"{path}: region-based labels ({', '.join(regions)}) overlap; every class must have "
            "one integer of its own"
        )
    by_value = {_label_value(path, name, value): name for name, value in labels.items()}
    if (
        sorted(by_value) != list(range(len(labels)))
        or by_value[0] != "background"
        or not 2 <= len(labels) <= UNKNOWN
    ):
        raise DataError(
            f"{path}: expected labels background = 0 and 1 to {UNKNOWN - 1} classes 1, 2, ... "
            f"without gaps, got {shortly(labels)}"
        )
    organs = tuple(by_value[value] for value in range(1, len(labels)))
    if not all(organ.strip() for organ in organs):
        raise DataError(f"{path}: expected a name for every class, got {shortly(labels)}")
    return organs


def _label_value(path: Path, name: str, value: Any) -> int:
    """As nnU-Net v2 reads it (``LabelManager``): ``int`` of the value, or of a list of one."""
    (only,) = value if isinstance(value, list) and len(value) == 1 else (value,)
    try:
        whole = int(only)
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or isinstance(only, bool) or (isinstance(only, float) and whole != only):
        raise DataError(
            f"{path}: expected a whole number as the label of {shortly(name)}, got {shortly(value)}"
        )
    return whole
