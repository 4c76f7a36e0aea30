"""Writers of tiny files in every format, so that no test needs a download."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the field's name for it

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(
    spacing=(3.0, 0.8, 0.5), axes=("S", "P", "L"), origin=(5.0, -7.0, 11.0), tilt=0.0
) -> np.ndarray:
    """Index (z, y, x, 1) to RAS mm: the body direction each array axis grows towards.

    ``tilt`` turns everything by so many degrees about the right-left axis.
    """
    world = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1)}
    opposite = {"L": "R", "P": "A", "I": "S"}
    columns = [np.array(world[a]) if a in world else -np.array(world[opposite[a]]) for a in axes]
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.stack(columns, axis=1) * np.array(spacing)
    affine[:3, 3] = origin
    return affine


class FileWriter:
    """Writes arrays [z, y, x] with an affine from (z, y, x, 1) to RAS mm."""

    affine = staticmethod(affine_of)

    def nifti(self, path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(array.T, affine[:, [2, 1, 0, 3]]).to_filename(path)
        return path

    def itk(
        self, path: Path, array: np.ndarray, affine: np.ndarray, *, compress: bool = False
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        lps = LPS @ affine[:, [2, 1, 0, 3]]
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        sitk.WriteImage(image, str(path), compress)
        return path

    def dicom(
        self,
        folder: Path,
        array: np.ndarray,
        affine: np.ndarray,
        *,
        names: Sequence[str] | None = None,
        tags: Mapping[int, Mapping[str, str]] | None = None,
    ) -> Path:
        """One file per slice, in the order of ``names``; ``tags`` replaces tags of slice k."""
        folder.mkdir(parents=True, exist_ok=True)
        lps = LPS @ affine
        step = np.linalg.norm(lps[:3, :3], axis=0)
        cosines = np.r_[lps[:3, 2] / step[2], lps[:3, 1] / step[1]]
        for k, pixels in enumerate(array):
            image = sitk.GetImageFromArray(pixels.astype(np.int16))
            image.SetSpacing((step[2], step[1]))
            position = (lps @ np.array([k, 0, 0, 1]))[:3]
            chosen = {
                "0008|0060": "MR",
                "0020|000e": f"1.2.3.{k + 1}",  # anonymised sets number every slice anew
                "0020|0032": _text(position),
                "0020|0037": _text(cosines),
                **(tags or {}).get(k, {}),
            }
            for tag, value in chosen.items():
                image.SetMetaData(tag, value)
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetFileName(str(folder / (names[k] if names else f"slice{k:03d}.dcm")))
            writer.Execute(image)
        return folder

    def png(self, folder: Path, array: np.ndarray, names: Sequence[str]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for pixels, name in zip(array, names, strict=True):
            sitk.WriteImage(sitk.GetImageFromArray(pixels.astype(np.uint8)), str(folder / name))
        return folder

    def truncate(self, path: Path, keep: float = 0.5) -> Path:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        return path


def _text(values) -> str:
    return "\\".join(f"{float(v):.9g}" for v in values)


@pytest.fixture(scope="session")
def write() -> FileWriter:
    """Writes volumes in any format."""
    return FileWriter()


@pytest.fixture
def scan() -> np.ndarray:
    """A non-square, anisotropic scan [z, y, x] in which every voxel is another number."""
    return np.arange(4 * 6 * 9, dtype=np.int16).reshape(4, 6, 9)
