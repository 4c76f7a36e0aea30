import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.issoc import (
    CuesAndSize,
    IssocStyle,
    TagsAndSize,
    confidence_cues,
    decode,
    encode,
    too_large,
)
from camzoo_baselines.own_maps import linear_cam, unit
from camzoo_baselines.sizes import organ_sizes

from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.recipe import sgd
from camzoo.registries import baselines, cams
from tests.baselines.tiny import RECIPE, tiny_classifier, tiny_context
from tests.toy import toy_slices

BOUNDS = {"bright": (0, 4000), "dark": (0, 5000)}


def test_cues_by_hand():
    """Weights 2 |map - 1/2|; between 0.3 and 0.7 nothing is known."""
    first = torch.tensor([[0.9, 0.1, 0.5], [0.0, 0.7, 0.2]])
    second = torch.tensor([[0.2, 0.8, 0.4], [0.0, 0.6, 0.25]])
    maps, shown = torch.stack([first, second])[None], torch.ones(1, 2, dtype=torch.bool)
    labels, weights = confidence_cues(maps, shown, 0.7, 0.3)
    assert labels[0].tolist() == [[1, 2, UNKNOWN], [0, UNKNOWN, 0]]
    expected = torch.tensor([[0.8, 0.6, 0.0], [1.0, 0.4, 0.5]])
    torch.testing.assert_close(weights[0], expected)


def test_an_organ_that_is_shown_but_has_no_map_may_be_anywhere():
    maps = torch.tensor([[[[0.9, 0.1]], [[0.0, 0.0]]]]).expand(2, 2, 1, 2)
    shown = torch.tensor([[True, True], [True, False]])
    labels, _ = confidence_cues(maps, shown, 0.7, 0.3)
    assert labels.tolist() == [[[1, UNKNOWN]], [[1, 0]]]


@pytest.mark.parametrize("classes", [2, 5, 127])
def test_labels_and_weights_travel_in_one_byte(classes):
    labels = torch.arange(classes).repeat(11, 1)[None].to(torch.uint8)
    weights = torch.linspace(0, 1, 11)[:, None].expand(11, classes)[None]
    labels[0, 5, 0] = UNKNOWN
    codes = encode(labels, weights, classes)
    assert codes.dtype == torch.uint8
    found, restored = decode(codes.long(), classes)
    assert (found[0, 5, 0], restored[0, 5, 0]) == (0, 0)
    known = labels != UNKNOWN
    assert torch.equal(found[known], labels[known].long())
    step = 1 / (255 // classes - 1)
    assert (restored - weights)[known].abs().max() <= step / 2 + 1e-6
    assert codes[known].max() < UNKNOWN


def test_outside_of_the_slice_counts_for_nothing():
    _, weights = decode(torch.zeros(1, 2, 2, dtype=torch.long), 3)
    assert weights.sum() == 0


def test_too_many_organs_are_refused():
    with pytest.raises(ConfigError, match="up to 126 organs, got 127"):
        encode(torch.zeros(1, 1, 1, dtype=torch.uint8), torch.ones(1, 1, 1), 128)


def test_the_penalty_is_one_sided():
    """5000 above 2000 costs 3000² / 65 536, halved by the mean; nothing, or too little, is free."""
    upper = torch.tensor([2000.0, 2000.0])
    there = torch.ones(1, 2)
    penalty = too_large(torch.tensor([[0.0, 5000.0]]), upper, there)
    assert penalty.item() == pytest.approx(9e6 / 65_536 / 2)
    assert too_large(torch.tensor([[0.0, 1999.0]]), upper, there).item() == 0
    assert too_large(torch.tensor([[9e3, 9e3]]), upper, torch.zeros(1, 2)).item() == 0


def test_the_loss_by_hand():
    """The organ's cue costs ln 2, that of the background ln 4; the organ's V is 65 536 * 3 / 8."""
    labels = torch.tensor([[[1, 0], [UNKNOWN, UNKNOWN]]], dtype=torch.uint8)
    weights = torch.tensor([[[1.0, 0.5], [1.0, 1.0]]])
    codes = encode(labels, weights, 2).long()
    half = decode(codes, 2)[1][0, 0, 1].item()
    assert half == pytest.approx(0.5, abs=0.005)
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, 0, 1] = math.log(3)  # organ 3/4, background 1/4
    logits[0, :, 1, 1] = torch.tensor([100.0, -100.0])  # no organ
    logits[0, 1, 1, 0] = -math.log(3)  # organ 1/4
    size = (1 / 2 + 3 / 4 + 1 / 4) / 4 * 65_536
    loss = CuesAndSize(torch.tensor([size - 256.0]), 0.5)
    value = loss(logits, codes, torch.ones(1, 1))
    cues = (math.log(2) + half * math.log(4)) / 2  # no mass counts as less than one pixel
    assert value.item() == pytest.approx(cues + 0.5 * 1.0, rel=1e-5)


def test_maps_that_are_trained_are_those_of_cam():
    classifier = tiny_classifier().eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        cam = linear_cam(classifier, classifier.model.forward_features(images))
        torch.testing.assert_close(cam, cams.get("cam")()(Viewer(classifier.model)(images)))
        torch.testing.assert_close(cam.mean((2, 3)), classifier(images))


def test_the_penalty_shrinks_maps_that_are_too_large(tmp_path):
    """A trained classifier's maps come down to the bound, and its tags stay right."""
    slices = toy_slices(16)
    classifier = tiny_classifier()
    gently = RECIPE.model_copy(update={"epochs": 20, "lr": 0.02})
    accuracies, sizes = [], []
    for recipe, weight in ((RECIPE, 0.0), (gently, 1e-3)):
        ranges = Augmentation.of(recipe, sided=slices.sided)
        loss = TagsAndSize(classifier, ranges, "fp32", torch.tensor([6000.0, 6000.0]), weight)
        history = minimise(
            loss, classifier, slices, sgd(recipe), seed=0, device=torch.device("cpu"),
            checkpoint=tmp_path / f"{weight}.safetensors",
        ).epochs  # fmt: skip
        accuracies.append(history[-1].accuracy)
        sizes.append(_map_sizes(classifier, slices))
    assert accuracies == [(1.0, 1.0)] * 2
    assert sizes[0].min() > 7000
    assert ((sizes[1] > 5000) & (sizes[1] < 6600)).all()


@torch.no_grad()
def _map_sizes(classifier, slices):
    """Sizes of the maps of organs that are there, in pixels at 256 x 256."""
    grey = slices.images(slice(None)).float() / 255
    features = classifier.eval().model.forward_features(classifier.normalise(grey))
    cam = linear_cam(classifier, features)
    return organ_sizes(unit(cam))[slices.tag_tensor(slice(None)) > 0]


def test_cues_are_those_of_maps_of_the_classifier_trained_for_size(tmp_path, monkeypatch):
    context, _ = tiny_context(tmp_path, RECIPE, reads=())
    shown = torch.from_numpy(context.train.tags > 0)
    planes = torch.rand(16, 2, 8, 8, generator=torch.Generator().manual_seed(0)).half()
    planes *= shown[:, :, None, None]
    planes[3, 0] = 0  # shown, but not found
    maps = MapArrays(planes.numpy(), np.zeros((16, 2), np.uint8), np.ones((16, 2), np.float32))
    trained, read, learnt = [], [], []
    monkeypatch.setattr(
        "camzoo.segment.learning_context.BaselineContext.minimise",
        lambda _, loss, network, *__, **___: trained.append((loss, network)),
    )
    monkeypatch.setattr(
        "camzoo_baselines.issoc.own_maps",
        lambda classifier, *_: read.append(classifier) or maps,
    )
    monkeypatch.setattr(
        IssocStyle, "learn", lambda _, context, codes, loss: learnt.append((codes, loss))
    )
    baseline = IssocStyle(bounds=BOUNDS, map_weight=0.25, weight=0.5)
    baseline.fit(context)

    ((size, network),) = trained
    assert isinstance(size, TagsAndSize)
    assert (size.upper.tolist(), size.weight) == ([4000, 5000], 0.25)
    assert read == [network] == [size.network]
    assert network is not context.classifier

    ((codes, loss),) = learnt
    assert (loss.upper.tolist(), loss.weight) == ([4000, 5000], 0.5)
    fine = F.interpolate(planes.float(), size=(32, 32), mode="bilinear", align_corners=False)
    labels, weights = confidence_cues(fine, shown, 0.7, 0.3)
    np.testing.assert_array_equal(baseline.pseudo, labels)
    known = labels != UNKNOWN
    found, restored = decode(torch.from_numpy(codes), 3)
    assert torch.equal(found[known], labels[known].long())
    assert (restored - weights)[known].abs().max() <= 1 / 168 + 1e-6  # half a step of 85 levels
    assert not restored[~known].any()


def test_it_trains_and_predicts(tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, _ = tiny_context(tmp_path, recipe, epochs=1, reads=())
    baseline = IssocStyle(bounds=BOUNDS)
    assert (baseline.reads, baseline.supervision) == ((), Supervision.IMAGE_SIZE)
    baseline.fit(context)
    assert set(np.unique(baseline.pseudo)) <= {0, 1, 2, UNKNOWN}
    empty = ~context.train.tags.any(axis=1)
    assert not baseline.pseudo[empty].any()
    assert baseline.pseudo[~empty].any()
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, 3, 32, 32)


def test_it_is_called_what_it_is():
    assert baselines.get("issoc-style") is IssocStyle
    assert IssocStyle.title == "ISSOC-style"
    assert "reconstruction" in IssocStyle.paper
    with pytest.raises(ConfigError, match="issoc-style: expected"):
        IssocStyle(high=0.2)
