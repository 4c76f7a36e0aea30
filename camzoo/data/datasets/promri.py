"""ProMRI: the prostate in T2-weighted MR, gathered from PROMISE12, NCI-ISBI 2013 and own cases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from camzoo.data.datasets.base import Case, Facts, Fractions, register_dataset
from camzoo.data.datasets.file_dataset import FileDataset, unless_hidden
from camzoo.data.readers import volume_stem

_SEGMENTATION: Final = "_segmentation"
#: How NCI-ISBI 2013 names its patients, its folders and the beginning of its label files.
_NCI_ISBI: Final = re.compile(r"(?:Prostate3T|ProstateDx)-\d\d-\d{4}")

#: Any label is gland: NCI-ISBI 2013 tells the peripheral zone from the central gland.
_GLAND: Final = dict.fromkeys(range(1, 256), 1)


@register_dataset("promri")
class ProMRI(FileDataset):
    """Whole-gland prostate segmentation from every source that lies under one root.

    PROMISE12: ``CaseNN.mhd`` with ``CaseNN_segmentation.mhd`` in ``training_data/``, ``test_data/``
    and ``livechallenge_test_data/``, of the root or of a folder in it. NCI-ISBI 2013: NRRD labels
    beside or below folders of DICOM series as the archive exports them. Own cases: ``<id>.nii.gz``
    (or any other volume format) with ``<id>_segmentation.nii.gz`` in the root. Cases of the
    PROMISE12 test folders get ids that begin with "test-" and "live-", since their numbers start at
    00 again.

    Args:
        root: Folder with any of these.
    """

    facts = Facts(
        title="ProMRI (PROMISE12, NCI-ISBI 2013 and own cases)",
        citation="Litjens et al., Evaluation of prostate segmentation algorithms for MRI: the "
        "PROMISE12 challenge, Medical Image Analysis 18(2), 2014, doi:10.1016/j.media.2013.12.002; "
        "Bloch et al., NCI-ISBI 2013 Challenge: Automated Segmentation of Prostate Structures, The "
        "Cancer Imaging Archive, 2015, doi:10.7937/K9/TCIA.2015.zF0vlOPv",
        licence="PROMISE12: see the record, citation required; NCI-ISBI 2013: CC BY 3.0",
        where="https://zenodo.org/records/8026660 (PROMISE12) and "
        "https://doi.org/10.7937/K9/TCIA.2015.zF0vlOPv (NCI-ISBI 2013)",
        caveats=(
            "the published ProMRI also holds 43 volumes that are not public",
            "PROMISE12 and NCI-ISBI 2013 share two hospitals: check for patients in both",
        ),
    )
    marks = (
        "*_segmentation.*", "training_data", "test_data", "livechallenge_test_data",
        "Prostate3T-*", "ProstateDx-*", "PROSTATE-DIAGNOSIS", "Prostate-3T",
    )  # fmt: skip
    layout = (
        "CaseNN.mhd with CaseNN_segmentation.mhd, there or in training_data/, or NCI-ISBI series "
        "with NRRD labels, or <id>.nii.gz with <id>_segmentation.nii.gz"
    )
    organs = ("prostate",)
    split = Fractions(test=30 / 172, val=0.1)
    values = _GLAND

    def find(self) -> Iterator[Case]:
        """Cases of all sources; the owners' test sets are PROMISE12's."""
        yield from _pairs(self.root, "", None)
        for top in (self.root, *sorted(self.root.iterdir())):
            yield from _pairs(top / "training_data", "", "train")
            yield from unless_hidden(_pairs(top / "test_data", "test-", "test"))
            yield from unless_hidden(_pairs(top / "livechallenge_test_data", "live-", "test"))
        yield from _nci_isbi(self.root)


def _pairs(folder: Path, prefix: str, official: Literal["train", "test"] | None) -> Iterator[Case]:
    """Volumes with their ``_segmentation`` beside them."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    volumes = {stem: file for file in files if (stem := _own_stem(file))}
    for stem in sorted({stem.removesuffix(_SEGMENTATION) for stem in volumes}):
        name = stem + _SEGMENTATION
        # What is lost is looked for under the ending of what is there.
        image = volumes.get(stem) or _renamed(volumes[name], name, stem)
        label = volumes.get(name) or _renamed(image, stem, name)
        yield Case(prefix + stem, prefix + stem, (image, label), official)


def _own_stem(file: Path) -> str | None:
    """Name without ending of a visible volume file that is no label of NCI-ISBI 2013."""
    foreign = file.name.startswith(".") or _nci_isbi_patient(file.name)
    return volume_stem(file) if file.is_file() and not foreign else None


def _nci_isbi_patient(name: str) -> str | None:
    """Patient that a label file of NCI-ISBI 2013 is named after."""
    found = _NCI_ISBI.match(name)
    own = _SEGMENTATION in name or not name.lower().endswith(".nrrd")
    return found[0] if found and not own else None


def _renamed(file: Path, old: str, new: str) -> Path:
    return file.with_name(new + file.name.removeprefix(old))


def _nci_isbi(root: Path) -> Iterator[Case]:
    """Labels with the DICOM series of the same patient, in whichever folders they were unpacked.

    Series without a label are passed over: the collections hold more patients than the challenge.
    """
    labels: list[tuple[str, Path]] = []
    series: dict[str, list[Path]] = {}
    for place, _, names in os.walk(root):
        folder = Path(place)
        labels += [(p, folder / name) for name in names if (p := _nci_isbi_patient(name))]
        if any(name.lower().endswith(".dcm") for name in names):
            for part in folder.relative_to(root).parts:
                if _NCI_ISBI.fullmatch(part):
                    series.setdefault(part, []).append(folder)
    for patient, label in labels:
        places = series.get(patient, [root / patient])
        # Of several series none is chosen: their common folder has no slices, and says so.
        image = Path(os.path.commonpath(places))
        yield Case(patient, patient, (image, label))
