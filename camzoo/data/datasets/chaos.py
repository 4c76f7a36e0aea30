"""CHAOS: abdominal MR with liver, kidneys and spleen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from camzoo.core.errors import ConfigError, DataError
from camzoo.data.datasets.base import Case, Facts, Folds, register_dataset
from camzoo.data.datasets.file_dataset import FileDataset, visible_files
from camzoo.data.labels import relabel
from camzoo.data.readers.dicom import scan_series, slice_files
from camzoo.data.readers.png import read_png_stack
from camzoo.data.volume import Volume

#: Sequence -> folders with DICOM series of one grid, the one that is the image first.
_SEQUENCES: Final[dict[str, tuple[str, ...]]] = {
    "T2SPIR": ("T2SPIR/DICOM_anon",),
    "T1DUAL-InPhase": ("T1DUAL/DICOM_anon/InPhase", "T1DUAL/DICOM_anon/OutPhase"),
    "T1DUAL-OutPhase": ("T1DUAL/DICOM_anon/OutPhase", "T1DUAL/DICOM_anon/InPhase"),
}
#: Grey -> class, by the owners' range of each organ (both ends included).
_VALUES: Final = {
    grey: organ
    for organ, (low, high) in enumerate(((55, 70), (110, 135), (175, 200), (240, 255)), start=1)
    for grey in range(low, high + 1)
}


@register_dataset("chaos")
class CHAOS(FileDataset):
    """The labelled MR cases of CHAOS in their official layout; one case per patient.

    Args:
        root: Folder that holds ``Train_Sets/MR``, ``MR`` or the numbered patient folders.
        sequence: Which scan is the image: "T2SPIR", or one phase of T1-DUAL.

    Raises:
        ConfigError: ``sequence`` is none of these.
    """

    facts = Facts(
        title="CHAOS (Combined Healthy Abdominal Organ Segmentation, 2019), MR",
        citation="Kavur et al., CHAOS Challenge - combined (CT-MR) healthy abdominal organ "
        "segmentation, Medical Image Analysis 69, 2021, doi:10.1016/j.media.2020.101950",
        licence="CC BY-SA 4.0; see the record",
        where="https://zenodo.org/records/3431873 (CHAOS_Train_Sets.zip)",
        caveats=("labels of the 20 test patients are not public: cross-validate on the others",),
    )
    marks = ("[0-9]*/T2SPIR", "[0-9]*/T1DUAL")
    tops = ("MR", "Train_Sets/MR", "CHAOS_Train_Sets/Train_Sets/MR")
    layout = "MR/<number>/T2SPIR/ with DICOM_anon/*.dcm and Ground/*.png, there or in Train_Sets/"
    organs = ("liver", "right kidney", "left kidney", "spleen")
    sided = True
    split = Folds(5)
    values = _VALUES

    def __init__(
        self,
        root: Path | None,
        *,
        sequence: Literal["T2SPIR", "T1DUAL-InPhase", "T1DUAL-OutPhase"] = "T2SPIR",
    ) -> None:
        super().__init__(root)
        if sequence not in _SEQUENCES:
            raise ConfigError(f"sequence must be one of {', '.join(_SEQUENCES)}: {sequence!r}")
        self._folders = _SEQUENCES[sequence]

    def find(self) -> Iterator[Case]:
        """One case per numbered folder that has the sequence."""
        for patient in self.root.glob("[0-9]*"):
            sequence = patient / Path(self._folders[0]).parts[0]
            if sequence.is_dir():
                series = tuple(patient / folder for folder in self._folders)
                files = (series[0], sequence / "Ground", *series[1:])
                yield Case(patient.name, patient.name, files)

    def label(self, case: Case) -> Volume:
        """Read the label of ``case``: its PNGs in the order of the slices they are named after."""
        files = visible_files(case.files[1])
        pictures = {file.stem: file for file in files if file.suffix.lower() == ".png"}
        try:
            series = scan_series(_folder_named_like(set(pictures), case))
            stack = read_png_stack([pictures[file.stem] for file in series.files], series.shape)
        except DataError as error:
            raise DataError(f"case {case.id}: {error}") from error
        volume = Volume(stack, series.affine, case.id, case.patient, source=str(case.files[1]))
        return relabel(volume.canonical(), self.values)


def _folder_named_like(pictures: set[str], case: Case) -> Path:
    """The folder whose slices the label pictures are named after.

    Raises:
        DataError: Some slice has no picture, or some picture no slice.
    """
    image, ground, *others = case.files
    if not pictures:
        raise DataError(f"no label slices (*.png) in {ground}; restore the folder")
    folders = [folder for folder in (image, *others) if folder.is_dir()]
    names = {folder: {file.stem for file in slice_files(folder)} for folder in folders}
    for folder in folders:
        if names[folder] == pictures:
            return folder
    slices = names.get(image, set())
    missing, extra = sorted(slices - pictures), sorted(pictures - slices)
    raise DataError(
        f"every slice in {image} needs the label of the same name in {ground}; "
        f"{len(missing)} slices have none ({', '.join(missing[:3]) or '-'}), "
        f"{len(extra)} labels have no slice ({', '.join(extra[:3]) or '-'}): restore the files"
    )
