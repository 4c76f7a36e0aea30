"""Little folders of references, maps and masks."""

import nibabel as nib
import numpy as np

#: Index (x, y, z) to RAS mm: voxels of 0.8 x 0.7 x 3 mm, x towards the patient's right.
AFFINE = np.diag([0.8, 0.7, 3.0, 1.0])
SHAPE = (6, 16, 14)


def label(case=0, classes=2):
    """Two blocks, [z, y, x]; the second one touches the border of the volume."""
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[1:4, 3 + case : 9 + case, 2:8] = 1
    if classes > 1:
        array[2:6, 4 + case : 8 + case, 10:14] = 2
    return array


def save(path, array, affine=AFFINE):
    """Write [z, y, x] or [C, z, y, x] as NIfTI or npy, as the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        nib.save(nib.Nifti1Image(array.T, affine), path)
    return path


def references(folder, cases=4, classes=2, suffix=".nii.gz"):
    for i in range(cases):
        save(folder / f"c{i}{suffix}", label(i, classes))
    return folder


def blurred(case, noise, seed=0):
    """Maps [2, z, y, x] of a label, float32, between 0 and 1."""
    rng = np.random.default_rng(100 * seed + case)
    truth = np.stack([label(case) == c for c in (1, 2)])
    return (0.2 + 0.5 * truth + noise * rng.random(truth.shape)).clip(0, 1).astype(np.float32)
