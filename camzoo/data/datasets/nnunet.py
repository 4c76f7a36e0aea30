"""Any data set in the raw format of nnU-Net v2."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from camzoo.data.datasets.base import Case, Facts, Fractions, register_dataset
from camzoo.data.datasets.files import FileDataset
from camzoo.data.readers import companions
from camzoo.errors import ConfigError, DataError


@register_dataset("nnunet")
class NNUNet(FileDataset):
    r"""A raw nnU-Net v2 folder: ``dataset.json``, ``imagesTr``, ``labelsTr`` and maybe ``..Ts``.

    ``imagesTs`` with ``labelsTs`` is taken as the owners' test set.

    Args:
        root: The ``DatasetNNN_Name`` folder.
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
    layout = "imagesTr/<id>_<channel>.<ending> with labelsTr/<id>.<ending>"
    split = Fractions(test=0.25, val=0.1)

    def __init__(
        self,
        root: Path | None,
        *,
        channel: int = 0,
        sided: bool | None = None,
        patient: str = "(.+)",
    ) -> None:
        super().__init__(root)
        self._patient = _pattern(patient)
        description = _description(self.root)
        self._ending = str(description["file_ending"])
        self._channel = f"_{_known_channel(self.root, description, channel):04d}{self._ending}"
        self.organs = _organs(self.root, description["labels"])
        self.values = {value: value for value in range(1, len(self.organs) + 1)}
        named = any({"left", "right"} & set(re.split(r"[\W_]+", o.lower())) for o in self.organs)
        self.sided = named if sided is None else sided

    def find(self) -> Iterator[Case]:
        """Every id that has an image or a label."""
        yield from self._subset("Tr", "train")
        if (self.root / "labelsTs").is_dir():
            yield from self._subset("Ts", "test")

    def _subset(self, which: str, official: Literal["train", "test"]) -> Iterator[Case]:
        images, labels = self.root / f"images{which}", self.root / f"labels{which}"
        ids = {p.name.removesuffix(self._channel) for p in images.glob(f"[!.]*{self._channel}")}
        ids |= {p.name.removesuffix(self._ending) for p in labels.glob(f"[!.]*{self._ending}")}
        for name in sorted(ids):
            image, label = images / (name + self._channel), labels / (name + self._ending)
            files = (image, label, *companions(image), *companions(label))
            yield Case(name, self._patient_of(name), files, official)

    def _patient_of(self, case: str) -> str:
        found = self._patient.fullmatch(case)
        if found is None:
            raise DataError(
                f"case {case}: its id does not match the option patient={self._patient.pattern}; "
                "correct the expression so that its first group is the patient"
            )
        return found[1]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ConfigError(f"patient={text!r} is no regular expression: {error}") from error
    if pattern.groups < 1:
        raise ConfigError(f"patient={text!r} has no group; put the patient's part in brackets")
    return pattern


def _description(root: Path) -> dict[str, Any]:
    path = root / "dataset.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); --root must be the DatasetNNN_Name folder of "
            "nnU-Net v2. `--dataset phantom` runs without files"
        ) from error
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
    return dict(description)


def _known_channel(root: Path, description: dict[str, Any], channel: int) -> int:
    names = description["channel_names"]
    if str(channel) not in names:
        known = ", ".join(f"{number} ({name})" for number, name in names.items())
        raise ConfigError(f"{root}: channel {channel} does not exist; choose one of {known}")
    return channel


def _organs(root: Path, labels: dict[str, Any]) -> tuple[str, ...]:
    """Class names in label order, without the background."""
    path = root / "dataset.json"
    if "ignore" in labels:
        raise DataError(
            f"{path}: the label 'ignore' marks voxels without a reference, which cannot be scored; "
            "use a data set that is labelled throughout"
        )
    regions = [name for name, value in labels.items() if not isinstance(value, int)]
    if regions:
        raise DataError(
            f"{path}: region-based labels ({', '.join(regions)}) overlap; every class must have "
            "one integer of its own"
        )
    by_value = {value: name for name, value in labels.items()}
    if (
        sorted(by_value) != list(range(len(labels)))
        or by_value[0] != "background"
        or len(labels) < 2
    ):
        raise DataError(
            f"{path}: expected labels background = 0 and classes 1, 2, ... without gaps, "
            f"got {labels}"
        )
    return tuple(by_value[value] for value in range(1, len(labels)))
