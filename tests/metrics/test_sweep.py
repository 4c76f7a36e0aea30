import numpy as np
import pytest
import torch

from camzoo.core.errors import ConfigError, DataError
from camzoo.metrics.overlap import overlap_counts
from camzoo.metrics.sweep import SweepCounts, apply_threshold, threshold_sweep


def plain_loop(maps, labels, thresholds):
    """The rule, spelled out: a background plane of the threshold in front, argmax, count."""
    tp, n_pred = [], []
    for threshold in thresholds:
        plane = np.full_like(maps[:1], threshold)
        predicted = np.concatenate([plane, maps]).argmax(axis=0)
        counts = [overlap_counts(predicted == c, labels == c)[:2] for c in range(1, len(maps) + 1)]
        tp.append([c[0] for c in counts])
        n_pred.append([c[1] for c in counts])
    return np.transpose(tp), np.transpose(n_pred)


def random_case(rng, dtype):
    classes = int(rng.integers(1, 6))
    shape = tuple(rng.integers(1, 30, size=3))
    # Coarse values make ties, among classes and with thresholds.
    maps = np.round(rng.random((classes, *shape)), int(rng.integers(1, 4))).astype(dtype)
    labels = rng.integers(0, classes + 1, shape).astype(rng.choice([np.uint8, np.int64]))
    thresholds = np.unique(np.round(rng.random(int(rng.integers(1, 100))), 2))
    return maps, labels, thresholds


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equals_the_plain_loop_on_random_cases(dtype):
    rng = np.random.default_rng(5)
    for _ in range(34):
        maps, labels, thresholds = random_case(rng, dtype)
        tp, n_pred = plain_loop(maps, labels, thresholds)
        tensors = torch.from_numpy(maps), torch.from_numpy(labels)
        for counts in (
            threshold_sweep(maps, labels, thresholds),
            threshold_sweep(*tensors, thresholds),
        ):
            np.testing.assert_array_equal(counts.tp, tp)
            np.testing.assert_array_equal(counts.n_pred, n_pred)
            np.testing.assert_array_equal(
                counts.n_ref, [(labels == c).sum() for c in range(1, len(maps) + 1)]
            )


def test_neighbouring_floats_are_told_apart():
    levels = np.array([0.3, np.nextafter(0.3, 1), 0.30000001, 0.9])
    maps = np.array([[0.3, np.nextafter(0.3, 1), 0.9, 1.0]])
    counts = threshold_sweep(maps, np.ones(4, dtype=int), levels)
    assert counts.n_pred.tolist() == [[3, 2, 2, 1]]


def test_a_map_equal_to_the_threshold_in_its_own_type_is_background():
    maps = np.full((1, 2), 0.3, dtype=np.float32)  # float32(0.3) > 0.3 in double precision
    assert threshold_sweep(maps, np.ones(2, int), [0.3]).n_pred.tolist() == [[0]]
    for threshold in (0.3, np.float64(0.3)):
        assert apply_threshold(maps, threshold).tolist() == [0, 0]
        assert apply_threshold(torch.from_numpy(maps), threshold).tolist() == [0, 0]


def test_bfloat16_takes_the_tensor_path():
    rng = np.random.default_rng(3)
    maps = torch.from_numpy(rng.random((3, 5, 7))).to(torch.bfloat16)
    labels = torch.from_numpy(rng.integers(0, 4, (5, 7)))
    thresholds = np.linspace(0.05, 0.95, 19)
    counts = threshold_sweep(maps, labels, thresholds)
    for t, threshold in enumerate(thresholds):
        predicted = apply_threshold(maps, threshold)
        for c in range(3):
            both = overlap_counts((predicted == c + 1).numpy(), (labels == c + 1).numpy())
            assert (counts.tp[c, t], counts.n_pred[c, t], counts.n_ref[c]) == both


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_the_accelerator_gives_the_same_counts(dtype):
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand((4, 9, 33, 21), generator=generator).to(dtype)
    labels = torch.randint(0, 5, (9, 33, 21), generator=generator)
    thresholds = np.linspace(0.01, 0.99, 99)
    here = threshold_sweep(maps, labels, thresholds)
    there = threshold_sweep(maps.cuda(), labels.cuda(), thresholds)
    np.testing.assert_array_equal(here.tp, there.tp)
    np.testing.assert_array_equal(here.n_pred, there.n_pred)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_apply_threshold_takes_the_lowest_class_on_a_tie(kind):
    maps = kind(np.array([[0.2, 0.6, 0.6, 0.5], [0.1, 0.6, 0.7, 0.5]]))
    label = apply_threshold(maps, 0.5)
    assert label.tolist() == [0, 1, 2, 0]
    assert str(label.dtype).endswith("uint8")


def test_dsc_and_pooling():
    maps, labels = np.array([[0.9, 0.8, 0.1, 0.1]]), np.array([1, 0, 1, 0])
    one = threshold_sweep(maps, labels, [0.5, 0.85, 0.95])
    # 0.5: 2 predicted, 1 right, 2 in the reference; 0.85: 1, 1, 2; 0.95: nothing.
    np.testing.assert_allclose(one.dsc, [[2 * 1 / 4, 2 * 1 / 3, 0]])
    both = one + threshold_sweep(np.zeros((1, 4)), labels, [0.5, 0.85, 0.95])
    np.testing.assert_allclose(both.dsc, [[2 / 6, 2 / 5, 0]])


def test_only_equal_thresholds_can_be_pooled():
    maps, labels = np.zeros((1, 4)), np.zeros(4, dtype=int)
    with pytest.raises(ConfigError, match="1 classes at 2 thresholds"):
        threshold_sweep(maps, labels, [0.1, 0.2]) + threshold_sweep(maps, labels, [0.1])
    assert SweepCounts.__add__(threshold_sweep(maps, labels, [0.1]), 0) is NotImplemented


def bad_maps():
    maps = np.zeros((2, 3, 4), dtype=np.float32)
    maps[1, 2, 0] = np.nan
    return maps


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_nan_is_named_with_its_place(kind):
    message = r"1 NaN.*class 2 at voxel \(2, 0\)"
    with pytest.raises(DataError, match=message):
        threshold_sweep(kind(bad_maps()), kind(np.zeros((3, 4), dtype=int)), [0.5])
    with pytest.raises(DataError, match=message):
        apply_threshold(kind(bad_maps()), 0.5)


@pytest.mark.parametrize(
    ("maps", "labels", "message"),
    [
        (np.zeros((2, 3, 4)), np.zeros((4, 3), int), r"\(2, 3, 4\) and \(4, 3\)"),
        (np.zeros((1, 3), int), np.zeros(3, int), "floating point, got int64"),
        (np.zeros((1, 3)), np.zeros(3), "labels must be integers, got float64"),
        (np.zeros((1, 3)), np.array([0, 1, 2]), r"0\.\.1 because there are 1 maps.*0\.\.2"),
        (np.zeros((1, 3)), np.array([0, -1, 1]), r"-1\.\.1"),
    ],
)
def test_bad_input_is_refused(maps, labels, message):
    with pytest.raises(DataError, match=message):
        threshold_sweep(maps, labels, [0.5])
    with pytest.raises(DataError, match=message):
        threshold_sweep(torch.from_numpy(maps), torch.from_numpy(labels), [0.5])


@pytest.mark.parametrize("thresholds", [[], [0.2, 0.1], [0.1, 0.1], [0.1, float("nan")]])
def test_thresholds_must_ascend(thresholds):
    with pytest.raises(ConfigError, match="thresholds must"):
        threshold_sweep(np.zeros((1, 3)), np.zeros(3, int), thresholds)
