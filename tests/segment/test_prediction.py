import numpy as np
import pytest
import torch

from camzoo.core.errors import DataError
from camzoo.data.readers import read_volume
from camzoo.data.slices import CaseInfo
from camzoo.data.volume import Volume, require_same_grid
from camzoo.segment.base import Baseline
from camzoo.segment.export import write_volume
from camzoo.segment.prediction import predict_volume

#: Anisotropic, not square, oblique, canonical (z up, y back, x left).
_COS, _SIN = np.cos(0.2), np.sin(0.2)
AFFINE = np.array(
    [
        [0.0, 0.0, -0.7, 40.0],
        [2.5 * _SIN, -0.5 * _COS, 0.0, 12.5],
        [2.5 * _COS, 0.5 * _SIN, 0.0, -80.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
SHAPE = (5, 20, 12)


class Bright(Baseline):
    """Says organ 1 from grey 100 on and organ 2 from grey 200 on, on a grid of its own side."""

    name = "bright"

    def __init__(self, shrink=1):
        self.batches = []
        self.shrink = shrink

    def fit(self, context):
        raise NotImplementedError

    def predict(self, images):
        self.batches.append(len(images))
        grey = images[:, :: self.shrink, :: self.shrink].float()
        planes = [(grey < 100), (grey >= 100) & (grey < 200), grey >= 200]
        return torch.stack(planes, dim=1).float()


def volume():
    """Labels with a shape of their own in every direction."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:9, 1:4] = 1
    labels[2, 12:19, 5:7] = 2
    labels[4, 0, 11] = 1
    return labels


def case():
    affine = tuple(tuple(row) for row in AFFINE.tolist())
    spacing = tuple(np.linalg.norm(AFFINE[:3, :3], axis=0).tolist())
    return CaseInfo("c", "p", 0, SHAPE, spacing, affine)


def slices(size):
    grey = torch.from_numpy(volume()).float() * 125  # 0, 125, 250
    square = case().letterbox.labels_to_grid(grey, size)
    return square.to(torch.uint8)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_labels_come_back_on_the_grid_of_the_scan(batch):
    baseline = Bright()
    labels = predict_volume(baseline, slices(40), case(), organs=2, batch=batch)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, volume())
    assert max(baseline.batches) == batch
    assert sum(baseline.batches) == SHAPE[0]


def test_the_baselines_grid_may_be_coarser_than_the_working_grid():
    labels = predict_volume(Bright(shrink=2), slices(80), case(), organs=2, batch=2)
    assert np.array_equal(labels, volume())


def test_the_argmax_is_taken_after_resampling():
    """On a grid half as fine, a plane of 0.6 beats its neighbour of 0.4 by interpolation only."""

    class Ramp(Bright):
        def predict(self, images):
            organ = torch.zeros(len(images), 2, 2)
            organ[..., 0] = 1.0
            return torch.stack([1 - organ, organ], dim=1)

    info = CaseInfo("c", "p", 0, (1, 8, 8), (1.0, 1.0, 1.0), case().affine)
    labels = predict_volume(Ramp(), torch.zeros(1, 8, 8).byte(), info, organs=1, batch=1)
    # Between the centres at 1/4 and 3/4 of the width the organ falls from 1 to 0: half way at 1/2.
    assert labels[0].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 8


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(2, 2, 8, 8), r"expected probabilities \[2, 3, s, s\].*got \[2, 2, 8, 8\]"),
        (torch.zeros(2, 3, 8, 6), r"got \[2, 3, 8, 6\]"),
        (torch.full((2, 3, 8, 8), float("nan")), "expected finite probabilities"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), "got torch.int64"),
        # Logits: of the right sum with a negative class, and of a wrong sum.
        (torch.tensor([1.5, -1.0, 0.5]).view(3, 1, 1).expand(2, 3, 8, 8), "not logits"),
        (torch.tensor([2.0, 0.0, 1.0]).view(3, 1, 1).expand(2, 3, 8, 8), "sum to 1"),
    ],
)
def test_what_is_no_probability_is_refused(output, message):
    class Wrong(Bright):
        def predict(self, images):
            return output

    with pytest.raises(DataError, match=message):
        predict_volume(Wrong(), slices(40)[:2], case(), organs=2, batch=2)


@pytest.mark.parametrize("name", ["c.nii.gz", "c.nii"])
def test_the_projects_reader_reads_the_same_labels_at_the_same_place(tmp_path, name):
    write_volume(tmp_path / name, volume(), AFFINE)
    back = read_volume(tmp_path / name, case="c", patient="p")
    assert np.array_equal(back.array, volume())
    assert back.array.dtype == np.uint8
    require_same_grid(Volume(volume(), AFFINE, "c", "p"), back)
    np.testing.assert_allclose(back.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(back.spacing, case().spacing, atol=1e-5)


def test_simpleitk_sees_the_same_voxel_at_the_same_place(tmp_path):
    import SimpleITK as sitk  # noqa: N813

    write_volume(tmp_path / "c.nii.gz", volume(), AFFINE)
    image = sitk.ReadImage(str(tmp_path / "c.nii.gz"))
    assert image.GetPixel(11, 0, 4) == 1  # index (x, y, z)
    lps = np.array(image.TransformIndexToPhysicalPoint((11, 0, 4)))
    ras = (AFFINE @ [4, 0, 11, 1])[:3]
    np.testing.assert_allclose(lps * [-1, -1, 1], ras, atol=1e-4)
