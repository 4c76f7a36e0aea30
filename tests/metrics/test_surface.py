import numpy as np
import pytest

from camzoo.core.errors import DataError, GeometryError
from camzoo.metrics.status import Status
from camzoo.metrics.surface import (
    ReferenceSurface,
    bounding_box,
    surface_distances,
    surface_points,
)
from tests.metrics.masks import ball, random_pair

SPACING = (3.0, 0.5, 0.6)


def hand_worked():
    """One predicted voxel, two of the reference: 2 columns (1.2 mm) and 2 rows (1.0 mm) away."""
    pred, ref = np.zeros((2, 5, 7), dtype=bool), np.zeros((2, 5, 7), dtype=bool)
    pred[0, 1, 1] = ref[0, 1, 3] = ref[0, 3, 1] = True
    return pred, ref


def test_every_metric_by_hand():
    d = surface_distances(*hand_worked(), SPACING)
    assert d.forward.tolist() == pytest.approx([1.0])
    assert sorted(d.backward) == pytest.approx([1.0, 1.2])
    assert d.asd == pytest.approx((1.0 + 1.0 + 1.2) / 3)
    assert d.mad == pytest.approx(1.0)
    assert d.mad_reverse == pytest.approx(1.1)
    assert d.assd == pytest.approx(1.05)
    assert d.hd == pytest.approx(1.2)
    assert d.hd95 == pytest.approx(1.0 + 0.9 * 0.2)  # of 1.0, 1.0, 1.2, at position 1.9
    assert d.nsd(1.1) == pytest.approx(2 / 3)
    assert d.nsd(0) == 0
    assert d.status is Status.OK


def test_distance_across_slices_uses_their_spacing():
    pred, ref = np.zeros((3, 4, 5), dtype=bool), np.zeros((3, 4, 5), dtype=bool)
    pred[0, 1, 1] = ref[2, 1, 2] = True
    assert surface_distances(pred, ref, SPACING).asd == pytest.approx(np.hypot(6.0, 0.6))


def test_the_surface_of_a_block_is_what_erosion_takes_away():
    mask = np.zeros((9, 8, 7), dtype=bool)
    mask[1:6, 2:7, 1:6] = True
    points = surface_points(mask)
    assert len(points) == 5**3 - 3**3
    assert points.min(axis=0).tolist() == [1, 2, 1]
    assert points.max(axis=0).tolist() == [5, 6, 5]


def test_outside_the_array_is_background():
    assert len(surface_points(np.ones((4, 6), dtype=bool))) == 2 * 6 + 2 * 2


def test_two_dimensional_masks():
    pred, ref = hand_worked()
    d = surface_distances(pred[0], ref[0], (0.5, 0.6))
    assert d.asd == pytest.approx(3.2 / 3)


def test_a_volume_of_one_slice_is_measured_in_its_plane():
    pred, ref = ball((1, 20, 30), (0, 9, 12), (1, 6, 8)), ball((1, 20, 30), (0, 10, 15), (1, 5, 8))
    volume = surface_distances(pred, ref, SPACING)
    plane = surface_distances(pred[0], ref[0], SPACING[1:])
    assert volume.asd == plane.asd > 0.5


def test_bounding_box():
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[1, 2, 3] = mask[2, 4, 3] = True
    assert bounding_box(mask) == (slice(1, 3), slice(2, 5), slice(3, 4))
    assert not mask[bounding_box(np.zeros_like(mask))].size


@pytest.mark.parametrize(
    ("empty", "status", "value", "share"),
    [
        ("pred", Status.EMPTY_PRED, np.nan, 0),
        ("ref", Status.EMPTY_REF, np.nan, 0),
        ("both", Status.EMPTY_BOTH, 0.0, 1),
    ],
)
def test_empty_masks_have_a_status_and_no_invented_distance(empty, status, value, share):
    pred, ref = hand_worked()
    if empty in ("pred", "both"):
        pred[:] = False
    if empty in ("ref", "both"):
        ref[:] = False
    d = surface_distances(pred, ref, SPACING)
    assert d.status is status
    for name in ("asd", "mad", "mad_reverse", "assd", "hd", "hd95"):
        np.testing.assert_equal(getattr(d, name), value)
    assert d.nsd(1.0) == share


def test_a_reference_answers_the_same_every_time():
    rng = np.random.default_rng(1)
    ref = ball((12, 60, 70), (6, 30, 36), (4, 20, 22))
    reference = ReferenceSurface(ref, SPACING)
    for _ in range(4):
        pred = ball(ref.shape, (6, *rng.integers(15, 45, 2)), (4, *rng.integers(5, 30, 2)))
        once, again = surface_distances(pred, ref, SPACING), reference.distances(pred)
        np.testing.assert_allclose(again.forward, once.forward, atol=1e-12)
        np.testing.assert_allclose(again.backward, once.backward, atol=1e-12)


def test_only_points_within_the_slices_count_but_the_other_surface_is_whole():
    pred, ref = np.zeros((4, 5, 6), dtype=bool), np.zeros((4, 5, 6), dtype=bool)
    pred[0, 2, 2] = pred[2, 2, 2] = ref[1, 2, 2] = ref[3, 0, 0] = True
    d = ReferenceSurface(ref, SPACING).distances(pred, within=slice(1, 3))
    assert d.forward.tolist() == pytest.approx([3.0])  # from slice 2 to slice 1
    assert d.backward.tolist() == pytest.approx([3.0])  # from slice 1 to slices 0 and 2
    nothing = ReferenceSurface(ref, SPACING).distances(pred, within=slice(2, 3))
    assert nothing.status is Status.EMPTY_REF


def test_diagonal():
    assert ReferenceSurface(np.zeros((2, 3, 4)), (1.5, 1, 1)).diagonal_mm == pytest.approx(
        np.sqrt(3**2 + 3**2 + 4**2)
    )


@pytest.mark.parametrize(
    "spacing", [None, (1.0, 1.0), (1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, float("nan"))]
)
def test_spacing_is_required_and_positive(spacing):
    with pytest.raises(GeometryError, match=r"spacing.*\(z, y, x\)"):
        surface_distances(*hand_worked(), spacing)


def test_bad_masks_are_refused():
    pred, ref = hand_worked()
    with pytest.raises(DataError, match="differ in shape"):
        surface_distances(pred[:, :4], ref, SPACING)
    with pytest.raises(DataError, match=r"prediction must be binary.*0\.5"):
        surface_distances(pred * 0.5, ref, SPACING)
    with pytest.raises(DataError, match="reference must be binary"):
        surface_distances(pred, ref * 3, SPACING)
    with pytest.raises(DataError, match=r"got shape \(2, 2, 5, 7\)"):
        ReferenceSurface(np.stack([ref, ref]), SPACING)
    with pytest.raises(DataError, match="0 mm or more, got -1"):
        surface_distances(pred, ref, SPACING).nsd(-1)


def test_masks_of_numbers_and_of_booleans_are_alike():
    pred, ref, spacing = random_pair(np.random.default_rng(2))
    as_numbers = surface_distances(pred.astype(np.float32), ref.astype(np.uint8), spacing)
    assert as_numbers.asd == surface_distances(pred, ref, spacing).asd
