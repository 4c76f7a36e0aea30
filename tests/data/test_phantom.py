import itertools
import json
import time

import numpy as np
import pytest
from scipy import ndimage

from camzoo.core.choices import SplitKind
from camzoo.core.errors import ConfigError, DataError
from camzoo.data.datasets import datasets, phantom
from camzoo.data.datasets.base import Case, Folds
from camzoo.data.datasets.phantom import Phantom
from camzoo.data.splits import make_split
from camzoo.data.volume import require_same_grid

VARIANTS = ("prostate", "cardiac", "abdomen")
#: Variant -> slice distance in mm, slices, share of slices with an organ, plane at size 64.
GEOMETRY = {
    "prostate": ((2.2, 4.0), (18, 36), (1 / 3, 1 / 2), (64, 64)),
    "cardiac": ((8.0, 10.0), (8, 12), (0.9, 0.99), (64, 54)),
    "abdomen": ((7.0, 8.0), (25, 38), (0.7, 0.85), (50, 64)),
}


def volumes(data):
    """(image, label) of all cases."""
    return [(data.image(case), data.label(case)) for case in data.cases()]


@pytest.fixture(scope="module")
def cohorts():
    """Eight patients of each variant, small."""
    return {v: volumes(Phantom(variant=v, patients=8, size=64)) for v in VARIANTS}


def tags(label, organs):
    """Which organ is in which slice, [organ, slice]."""
    return np.array([(label.array == c).any((1, 2)) for c in range(1, organs + 1)])


def centroid(mask):
    """(z, y, x) in voxels."""
    return np.argwhere(mask).mean(0)


# Names, options and errors


def test_the_registry_knows_it():
    assert datasets.get("phantom") is Phantom


def test_cases_are_listed_without_rendering(monkeypatch):
    monkeypatch.setattr(phantom, "render", None)
    cases = Phantom(variant="cardiac", patients=3).cases()
    assert [c.id for c in cases] == [
        f"patient{n:03d}_{phase}" for n in (1, 2, 3) for phase in ("ED", "ES")
    ]
    assert [c.patient for c in cases[:3]] == ["patient001", "patient001", "patient002"]
    assert [c.id for c in Phantom(patients=2).cases()] == ["patient001", "patient002"]


def test_cases_are_sorted_by_id_beyond_a_thousand_patients():
    ids = [case.id for case in Phantom(patients=1002).cases()]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1002


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"variant": "knee"}, "one of prostate, cardiac, abdomen, got 'knee'"),
        ({"patients": 0}, "patients must be a whole number from 1"),
        ({"patients": 2.5}, "patients must be a whole number"),
        ({"size": 16}, "size must be a whole number from 32 to 512, got 16"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"contrast": 1.1}, "contrast must lie between 0 and 1"),
        ({"contrast": float("nan")}, "contrast must lie between"),
        ({"noise": "loud"}, "noise must lie between 0 and 1 .*got 'loud'"),
        ({"jitter": 31}, "jitter must lie between 0 and 30"),
        ({"bias": -0.1}, "bias must lie between"),
        ({"negatives": 0.95}, "negatives must lie between 0 and 0.9"),
        ({"variant": "abdomen", "cooccurrence": 2}, "cooccurrence must lie between"),
        ({"variant": "cardiac", "cooccurrence": 0.5}, "cooccurrence needs several organs"),
        ({"root": "/tmp"}, "needs no files; leave out the root, got '/tmp'"),
    ],
)
def test_a_wrong_option_is_refused_with_what_was_expected(options, part):
    with pytest.raises(ConfigError, match=f"phantom: .*{part}"):
        Phantom(**options)


def test_a_case_of_another_data_set_is_refused():
    with pytest.raises(DataError, match=r"'patient003' is not one of its 2 cases \(prostate"):
        Phantom(patients=2).image(Case("patient003", "patient003"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_can_be_split_by_patient(variant):
    data = Phantom(variant=variant, patients=7)
    split = make_split(data, SplitKind.PATIENT)
    assert len(split.train) + len(split.val) + len(split.test) == len(data.cases())
    assert (data.split == Folds(5)) == (variant == "abdomen")


# Reproducibility


def test_every_option_is_in_the_fingerprint():
    base = {"variant": "abdomen", "patients": 3}
    other = {
        "variant": "prostate", "patients": 4, "size": 161, "contrast": 0.9, "cooccurrence": 0.6,
        "jitter": 7.0, "noise": 0.05, "bias": 0.2, "negatives": 0.3, "seed": 1,
    }  # fmt: skip
    prints = [json.dumps(Phantom(**base).fingerprint(), sort_keys=True)] + [
        json.dumps(Phantom(**(base | {name: value})).fingerprint(), sort_keys=True)
        for name, value in other.items()
    ]
    assert len(set(prints)) == 1 + len(other)


def test_whole_and_decimal_dials_are_the_same_dials():
    assert json.dumps(Phantom(contrast=1).fingerprint()) == json.dumps(Phantom().fingerprint())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_patient_depends_on_seed_and_number_alone(variant):
    few = Phantom(variant=variant, patients=2, size=48)
    many = Phantom(variant=variant, patients=5, size=48)
    forwards = {case.id: few.image(case).array for case in few.cases()}
    for case in reversed(many.cases()):
        label_first = many.label(case)
        if case.id in forwards:
            np.testing.assert_array_equal(many.image(case).array, forwards[case.id])
            np.testing.assert_array_equal(label_first.array, few.label(case).array)


@pytest.mark.parametrize("variant", VARIANTS)
def test_patients_seeds_and_variants_differ(variant):
    first, *_ = Phantom(variant=variant, size=48).cases()
    one, other = (Phantom(variant=variant, size=48, seed=s).label(first).array for s in (0, 1))
    assert one.shape != other.shape or (one != other).any()


@pytest.mark.parametrize(
    ("variant", "counts", "mean"),
    [
        ("prostate", [1128], 141.1),
        ("cardiac", [574], 133.6),
        ("abdomen", [5472, 482, 481, 418], 51.2),
    ],
)
def test_the_voxels_are_those_of_published_runs(variant, counts, mean):
    data = Phantom(variant=variant, patients=1, size=64)
    case = data.cases()[0]
    image, label = data.image(case).array, data.label(case).array
    assert np.bincount(label.ravel())[1:].tolist() == pytest.approx(counts, rel=5e-3)
    assert image.mean() == pytest.approx(mean, rel=5e-3)


def test_image_and_label_of_a_case_are_rendered_once(monkeypatch):
    calls = []
    render = phantom.render
    monkeypatch.setattr(phantom, "render", lambda *a, **k: calls.append(1) or render(*a, **k))
    data = Phantom(patients=2, size=32)
    one, two = data.cases()
    data.image(one), data.label(one), data.label(two), data.image(two)
    assert len(calls) == 2


def test_what_a_caller_does_to_a_volume_stays_with_the_caller():
    data = Phantom(patients=1, size=32)
    case = data.cases()[0]
    kept = data.label(case).array.copy()
    data.label(case).array[:] = 9
    data.image(case).array[:] = 0
    np.testing.assert_array_equal(data.label(case).array, kept)
    assert data.image(case).array.any()


# Geometry and anatomy


@pytest.mark.parametrize("variant", VARIANTS)
def test_volumes_have_the_geometry_of_the_real_set(cohorts, variant):
    (thin, thick), (fewest, most), (least, greatest), plane = GEOMETRY[variant]
    positive = []
    for image, label in cohorts[variant]:
        require_same_grid(image, label)
        assert (image.array.dtype, label.array.dtype) == (np.int16, np.uint8)
        assert thin <= image.spacing[0] <= thick
        assert image.spacing[1] == pytest.approx(image.spacing[2])
        assert fewest <= image.shape[0] <= most
        assert image.shape[1:] == plane
        np.testing.assert_array_equal(image.canonical().array, image.array)
        assert image.array.min() >= 0
        positive += [*(label.array > 0).any((1, 2))]
    assert least <= np.mean(positive) <= greatest


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_case_holds_every_organ_and_no_other_label(cohorts, variant):
    organs = len(Phantom(variant=variant).organs)
    for _, label in cohorts[variant]:
        assert np.unique(label.array).tolist() == list(range(organs + 1))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_larger_size_shows_the_same_patient_in_smaller_voxels(variant):
    coarse, fine = (Phantom(variant=variant, size=s) for s in (64, 128))
    case = coarse.cases()[1]
    one, two = coarse.label(case), fine.label(case)
    assert one.shape[0] == two.shape[0]
    assert one.spacing[2] == pytest.approx(2 * two.spacing[2], rel=0.02)
    for organ in range(1, len(coarse.organs) + 1):
        litres = [(v.array == organ).sum() * np.prod(v.spacing) for v in (one, two)]
        assert litres[0] == pytest.approx(litres[1], rel=0.08)


def test_organs_lie_on_their_side_of_the_body(cohorts):
    assert Phantom(variant="abdomen").sided
    assert not Phantom(variant="prostate").sided
    for _, label in cohorts["abdomen"]:
        liver, right, left, spleen = (centroid(label.array == c)[2] for c in range(1, 5))
        # x grows to the patient's left: the liver stands on the left of the picture.
        assert liver < left
        assert right < left
        assert liver < spleen
        assert right < label.shape[2] / 2 < spleen


def test_the_kidneys_lie_below_liver_and_spleen_and_share_their_slices(cohorts):
    shared = []
    for _, label in cohorts["abdomen"]:
        liver, right, left, spleen = (centroid(label.array == c)[0] for c in range(1, 5))
        assert max(right, left) < min(liver, spleen)
        _, right, left, _ = tags(label, 4)
        shared.append((right & left).sum() / (right | left).sum())
    assert np.mean(shared) > 0.6


def test_the_kidneys_look_alike(cohorts):
    signal = [
        [np.median(image.array[label.array == c]) for c in (2, 3)]
        for image, label in cohorts["abdomen"]
    ]
    ratio = np.log(np.divide(*np.transpose(signal)))
    assert abs(ratio.mean()) < 0.25  # shading and chance, no systematic side


def test_phases_share_anatomy_and_grid_and_differ_in_the_cavity_and_the_noise(cohorts):
    heart = cohorts["cardiac"]
    for (ed_image, ed), (es_image, es) in zip(heart[::2], heart[1::2], strict=True):
        assert ed.patient == es.patient
        assert (ed.case[-3:], es.case[-3:]) == ("_ED", "_ES")
        np.testing.assert_array_equal(ed.affine, es.affine)
        ejected = 1 - (es.array > 0).sum() / (ed.array > 0).sum()
        assert 0.35 < ejected < 0.8
        # The contracted cavity lies where the relaxed one was.
        assert ((es.array > 0) & (ed.array > 0)).sum() > 0.9 * (es.array > 0).sum()
        likeness = np.corrcoef(ed_image.array.ravel(), es_image.array.ravel())[0, 1]
        assert 0.8 < likeness < 0.999


def test_the_cavity_is_brighter_than_the_muscle_around_it(cohorts):
    for image, label in cohorts["cardiac"]:
        cavity = label.array > 0
        ring = ndimage.binary_dilation(cavity, np.ones((1, 5, 5))) & ~ndimage.binary_dilation(
            cavity, np.ones((1, 3, 3))
        )
        assert np.median(image.array[cavity]) > 1.4 * np.median(image.array[ring])


# Dials


def jump(image, mask):
    """Mean step across the boundary of an organ, relative to its signal: signed and absolute."""
    sigma = (0, 3 / image.spacing[1], 3 / image.spacing[2])

    def local_mean(where):
        weight = ndimage.gaussian_filter(where.astype(float), sigma)
        total = ndimage.gaussian_filter(image.array * where.astype(float), sigma)
        return total / np.maximum(weight, 1e-6)

    rim = mask & ~ndimage.binary_erosion(mask, np.ones((1, 3, 3)))
    step = (local_mean(mask) - local_mean(~mask))[rim] / image.array[mask].mean()
    return step.mean(), np.abs(step).mean()


@pytest.mark.parametrize("variant", VARIANTS)
def test_contrast_grades_the_boundary_from_invisible_to_clear(variant):
    steps = []
    for contrast in (0.0, 0.5, 1.0):
        data = Phantom(variant=variant, size=96, contrast=contrast, noise=0.0, bias=0.0)
        case = data.cases()[0]
        image, label = data.image(case), data.label(case).array
        steps.append([jump(image, label == c) for c in range(1, len(data.organs) + 1)])
    signed, absolute = np.moveaxis(np.array(steps), 2, 0)
    assert (np.abs(signed[0]) < 0.05).all()
    assert (absolute[0] < 0.15).all()  # texture alone
    assert (absolute[0] < 0.7 * absolute[1]).all()
    assert (absolute[1] < absolute[2]).all()
    assert (absolute[2] > 0.3).all()


def test_contrast_leaves_anatomy_and_surroundings_alone():
    clear, faint = (Phantom(size=64, contrast=c, noise=0.0) for c in (1.0, 0.2))
    case = clear.cases()[0]
    label = clear.label(case).array
    np.testing.assert_array_equal(label, faint.label(case).array)
    far = ~ndimage.binary_dilation(label > 0, np.ones((1, 15, 15)))
    difference = np.abs(clear.image(case).array.astype(int) - faint.image(case).array)
    assert difference[far].max() <= 0.02 * clear.image(case).array.max()
    assert difference[label > 0].mean() > 10 * difference[far].mean()


def overlap_along_z(cooccurrence):
    """Mean share of slices that a pair of organs has in common, over pairs and patients."""
    data = Phantom(variant="abdomen", patients=4, size=48, cooccurrence=cooccurrence)
    shared = []
    for case in data.cases():
        present = tags(data.label(case), 4)
        shared += [(a & b).sum() / (a | b).sum() for a, b in itertools.combinations(present, 2)]
    return np.mean(shared)


def test_cooccurrence_grows_from_no_shared_slice_to_all():
    shares = [overlap_along_z(c) for c in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert (np.diff(shares) > 0.1).all()


def test_jitter_moves_the_organs_by_as_many_millimetres():
    places = {}
    for jitter in (0.0, 5.0, 10.0):
        data = Phantom(patients=8, size=48, jitter=jitter)
        labels = [data.label(case) for case in data.cases()]
        places[jitter] = np.array([centroid(v.array)[1:] * v.spacing[1:] for v in labels])
    moved = [places[j] - places[0.0] for j in (5.0, 10.0)]
    # The same displacement, twice as far; its size over 16 draws that are cut at two sigma.
    np.testing.assert_allclose(moved[1], 2 * moved[0], atol=1.5)
    assert 2.5 < moved[0].std() < 7.5


def test_noise_is_relative_to_the_signal_of_the_organs():
    def air(noise):
        data = Phantom(variant="cardiac", size=64, noise=noise, bias=0.0)
        case = data.cases()[0]
        image, label = data.image(case).array, data.label(case).array
        corner = image[:, :8, :8]
        return corner.mean() / image[label > 0].mean()

    # Rayleigh: the mean in air is sigma sqrt(pi / 2).
    assert air(0.04) == pytest.approx(0.04 * np.sqrt(np.pi / 2), rel=0.08)
    assert air(0.08) == pytest.approx(0.08 * np.sqrt(np.pi / 2), rel=0.08)
    assert air(0.0) < 0.01


def test_bias_shades_the_image_smoothly_and_leaves_the_label():
    even, shaded = (Phantom(size=64, bias=b, noise=0.0) for b in (0.0, 0.6))
    case = even.cases()[0]
    np.testing.assert_array_equal(even.label(case).array, shaded.label(case).array)
    body = even.image(case).array > 30
    ratio = np.log(shaded.image(case).array[body] / even.image(case).array[body])
    assert 0.1 < ratio.std() < 0.9
    half = Phantom(size=64, bias=0.3, noise=0.0).image(case).array[body]
    half_ratio = np.log(half / even.image(case).array[body])
    assert np.median(np.abs(2 * half_ratio - ratio)) < 0.02


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("negatives", [0.0, 0.3, 0.6])
def test_negatives_is_the_share_of_slices_without_an_organ(variant, negatives):
    data = Phantom(variant=variant, patients=8, size=48, negatives=negatives)
    empty = np.concatenate([~(data.label(c).array > 0).any((1, 2)) for c in data.cases()])
    assert empty.mean() == pytest.approx(negatives, abs=0.04)


# A benchmark on it must mean something


def otsu(array):
    counts, edges = np.histogram(array, 256)
    centres, below = (edges[1:] + edges[:-1]) / 2, counts.cumsum()
    first = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (first[-1] * below / below[-1] - first) ** 2 / (below * (below[-1] - below))
    return centres[np.nanargmax(between)]


def pooled_dice(pairs):
    hit, size = np.sum([[(a & b).sum(), a.sum() + b.sum()] for a, b in pairs], axis=0)
    return 2 * hit / size


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_threshold_on_the_intensity_does_not_find_the_organs(cohorts, variant):
    organs = len(Phantom(variant=variant).organs)
    scores = []
    for organ in range(1, organs + 1):
        pairs = []
        for image, label in cohorts[variant]:
            shown = tags(label, organs)[organ - 1]  # even when told which slices to look at
            bright = image.array > otsu(image.array)
            pairs.append((bright[shown], label.array[shown] == organ))
        scores.append(pooled_dice(pairs))
    assert np.mean(scores) < 0.5


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_disc_in_the_centre_does_not_find_the_organs(cohorts, variant):
    organs = len(Phantom(variant=variant).organs)
    ny, nx = cohorts[variant][0][0].shape[1:]
    y, x = np.ogrid[:ny, :nx]
    away = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2)
    best = []
    for organ in range(1, organs + 1):
        found = [
            label.array[tags(label, organs)[organ - 1]] == organ for _, label in cohorts[variant]
        ]
        best.append(
            max(
                pooled_dice([(np.broadcast_to(away < r, m.shape), m) for m in found])
                for r in range(2, 33)
            )
        )
    assert np.mean(best) < 0.65


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_case_of_the_default_size_is_rendered_within_seconds(variant):
    data = Phantom(variant=variant)
    case = data.cases()[0]
    start = time.process_time()
    data.image(case)
    assert time.process_time() - start < 5
