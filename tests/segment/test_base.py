import numpy as np
import pytest
import torch

from camzoo.core.errors import ConfigError, DataError, FirewallError
from camzoo.core.supervision import Supervision
from camzoo.segment.base import (
    UNKNOWN,
    Baseline,
    PseudoMaskBaseline,
    baselines,
    clear_absent,
    register_baseline,
)
from camzoo.segment.supervised import Supervised, reference_labels
from tests.segment.toy import toy_context, toy_masks
from tests.toy import toy_slices


class Squares(PseudoMaskBaseline):
    """Knows the toy's squares, and draws them in every slice."""

    def pseudo_masks(self, context):
        drawn = toy_masks(context.train)[:, ::4, ::4].max(axis=0)
        return np.repeat(drawn[None], len(context.train), axis=0)


def test_pseudo_masks_are_cleared_by_tags_and_learnt(tmp_path):
    baseline = Squares()
    context = toy_context(tmp_path, epochs=1)
    baseline.fit(context)
    assert np.array_equal(baseline.pseudo, toy_masks(context.train)[:, ::4, ::4])
    probabilities = baseline.predict(context.val.images(slice(0, 3)))
    assert probabilities.shape == (3, 3, 32, 32)
    assert baseline.images_per_second > 0


def test_prediction_before_fit_is_a_bug():
    with pytest.raises(RuntimeError, match=r"Squares\.predict was called before fit"):
        Squares().predict(torch.zeros(1, 64, 64, dtype=torch.uint8))


def test_unknown_stays_in_positives_and_goes_from_negatives():
    slices = toy_slices(4)  # tags 00, 10, 01, 11
    labels = np.zeros((4, 2, 2), np.uint8)
    labels[:] = [[0, 1], [2, UNKNOWN]]
    expected = [
        [[0, 0], [0, 0]],
        [[0, 1], [0, UNKNOWN]],
        [[0, 0], [2, UNKNOWN]],
        [[0, 1], [2, UNKNOWN]],
    ]
    assert clear_absent(labels, slices).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 8, 8), np.int64), r"expected uint8 labels \[4, s, s\], got int64"),
        (np.zeros((3, 8, 8), np.uint8), r"got uint8 \[3, 8, 8\]"),
        (np.zeros((4, 8, 6), np.uint8), "square working grid"),
        (np.full((4, 8, 8), 3, np.uint8), "expected labels 0 to 2 and 255 for unknown, got 3"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        clear_absent(labels, toy_slices(4))


def test_masks_are_for_those_who_declare_them(tmp_path):
    class Curious(Baseline):
        """Declares tags, asks for masks."""

        def fit(self, context):
            context.masks()

        def predict(self, images):
            return images

    with pytest.raises(FirewallError, match="declares supervision 'image'"):
        Curious().fit(toy_context(tmp_path, supervision=Supervision.IMAGE))


def test_the_upper_bound_learns_the_masks(tmp_path):
    context = toy_context(tmp_path, supervision=Supervised.supervision, epochs=1)
    assert np.array_equal(reference_labels(context, 64), toy_masks(context.train))
    baseline = Supervised()
    baseline.fit(context)
    assert baseline.pseudo is None
    assert baseline.predict(context.val.images(slice(0, 2))).shape == (2, 3, 32, 32)
    with pytest.raises(FirewallError):
        Supervised().fit(toy_context(tmp_path / "b", supervision=Supervision.IMAGE))


def test_registration_gives_the_name():
    try:

        @register_baseline("squares-for-test")
        class Named(Squares):
            """Under a name."""

        assert Named.name == "squares-for-test"
        assert baselines.get("squares-for-test") is Named
        with pytest.raises(ConfigError, match="is taken by"):
            register_baseline("squares-for-test")(Squares)
    finally:
        baselines._targets.pop("squares-for-test")


def test_the_upper_bound_is_built_in():
    assert baselines.get("supervised") is Supervised
