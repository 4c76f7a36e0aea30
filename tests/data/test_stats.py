import numpy as np
import pytest

from camzoo.core.choices import SliceChoice
from camzoo.core.errors import DataError
from camzoo.data.datasets.base import Case, Dataset, Facts
from camzoo.data.loading import LoadedCase
from camzoo.data.stats import DatasetStats, case_stats, dataset_stats, remarks
from camzoo.data.volume import Volume


def loaded(affine, *, case="a", patient="p", mask=None, shape=(4, 5, 6)):
    label = np.zeros(shape, np.uint8) if mask is None else mask
    scan = np.arange(np.prod(shape)).reshape(shape)
    return LoadedCase(Volume(scan, affine, case, patient), Volume(label, affine, case, patient))


def test_facts_of_a_case_by_hand(write):
    """Class 1 fills a 2 x 2 x 3 block, class 2 one voxel; a voxel is 4 x 2 x 0.5 = 4 mm3."""
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 1:3, 1:4] = 1
    mask[3, 4, 5] = 2
    stats = case_stats(loaded(write.affine((4, 2, 0.5), tilt=30), mask=mask), 3)
    assert stats.positive_slices == (2, 1, 0)
    assert stats.volume_ml == pytest.approx((12 * 0.004, 0.004, 0))
    assert stats.tilt == pytest.approx(30)
    assert stats.spacing == pytest.approx((4, 2, 0.5))
    assert (stats.case, stats.patient, stats.shape) == ("a", "p", (4, 5, 6))


def cohort(affines, empty=(), slices=SliceChoice.ACQUIRED):
    return [
        case_stats(
            loaded(
                affine,
                case=f"c{i}",
                patient=f"p{i}",
                mask=np.full((4, 5, 6), i not in empty, np.uint8),
            ),
            1,
            slices,
        )
        for i, affine in enumerate(affines)
    ]


def test_summary_by_organ_and_counts(write):
    cases = cohort([write.affine((s, 1, 1)) for s in (3, 3, 5)], empty=(1,))
    stats = DatasetStats(("gland",), tuple(cases))
    (gland,) = stats.by_organ()
    assert gland.positive_slices == 8
    assert (gland.low_ml, gland.median_ml, gland.high_ml) == pytest.approx((0, 0.36, 0.6))
    assert stats.spacings() == {(3, 1, 1): 2, (5, 1, 1): 1}
    assert stats.shapes() == {(4, 5, 6): 3}
    assert (stats.patients, stats.slices) == (3, 12)


def test_equal_spacing_of_all_patients_is_remarked(write):
    (note,) = remarks(cohort([write.affine((10, 1.5, 1.5), tilt=t) for t in range(5)]))
    assert "all 5 patients have exactly the same spacing, 10 x 1.5 x 1.5 mm (z, y, x)" in note
    assert "nominal" in note


def test_different_spacings_or_few_patients_are_not(write):
    differ = [write.affine((10, 1.5, 1.5 + 0.01 * t), tilt=t) for t in range(5)]
    few = [write.affine((10, 1.5, 1.5), tilt=t) for t in range(4)]
    assert remarks(cohort(differ)) == remarks(cohort(few)) == []


def test_orientation_without_any_tilt_is_remarked(write):
    (note,) = remarks(cohort([write.affine((10, 1.5, 1 + 0.1 * t)) for t in range(5)]))
    assert "axes of all 5 patients are exactly those of the body" in note


def test_slices_across_the_acquisition_and_empty_labels_are_remarked(write):
    across = write.affine((1, 1, 3), tilt=5)
    notes = remarks(cohort([across] * 7, empty=(2, 3), slices=SliceChoice.AXIAL))
    assert any("across the plane of acquisition" in n and "c4 and 2 more" in n for n in notes)
    assert any(n == "no organ at all in: c2, c3" for n in notes)
    assert not any("across" in n for n in remarks(cohort([across] * 7)))


def test_slices_are_counted_in_their_plane(write):
    """2 x 3 voxels of class 1 on each of 4 columns: sagittal slices are 6, of which 4 show it."""
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 1:4, 1:5] = 1
    affine = write.affine((1, 1, 3), tilt=5)
    acquired = case_stats(loaded(affine, mask=mask), 1)
    axial = case_stats(loaded(affine, mask=mask), 1, SliceChoice.AXIAL)
    assert (acquired.slices, acquired.positive_slices) == (6, (4,))
    assert (axial.slices, axial.positive_slices) == (4, (2,))
    assert acquired.volume_ml == axial.volume_ml == pytest.approx((24 * 0.003,))
    assert DatasetStats(("gland",), (acquired,)).planes == "acquired plane (sagittal, 3 mm)"
    assert DatasetStats(("gland",), (axial,), SliceChoice.AXIAL).planes == "axial, as set (1 mm)"


class Cohort(Dataset):
    name = "cohort"
    facts = Facts("cohort", "-", "-", "-")
    organs = ("gland",)

    def cases(self):
        return [Case("a", "p"), Case("b", "q")]

    def image(self, case):
        shape = (1 if case.id == "b" else 4, 5, 6)
        return loaded(np.diag([3, 1, 1, 1.0]), case=case.id, shape=shape).image

    def label(self, case):
        return loaded(np.diag([3, 1, 1, 1.0]), case=case.id).label


def test_a_bad_case_stops_the_statistics_with_its_name():
    ticks = []
    with pytest.raises(DataError, match="case b: "):
        dataset_stats(Cohort(), lambda *t: ticks.append(t))
    assert ticks == [(1, 2)]
