"""The steps on maps that are made by hand; those of the registry as a new one would be tested."""

import numpy as np
import pytest
import torch

from camzoo.cams.map_arrays import MapArrays, MapStatus
from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError, DataError, FirewallError
from camzoo.core.progress import Quiet
from camzoo.core.spec import Spec
from camzoo.network.backbone import build_classifier
from camzoo.presets import preset
from camzoo.steps.base import StepContext, steps
from camzoo.steps.chain import parse_chain
from tests.tiny_sam import tiny_sam
from tests.toy import toy_slices

SIZE = 32
CONFIG = preset("smoke", "phantom").changed(
    {
        "training.epochs": 1,
        "backbone.name": "test_resnet", "training.crop": 64, "training.resize": [64, 72],
        "training.precision": "fp32", "maps.side": 64, "maps.scales": [1.0], "maps.size": SIZE,
    }
)  # fmt: skip
#: Settings that steps cannot do without, for tests that give none.
NEEDED = {"sam": lambda: {"weights": str(tiny_sam())}}
#: Where the two squares of the toy slices lie on a grid of 32.
BRIGHT, DARK = (slice(8, 16), slice(4, 12)), (slice(16, 24), slice(16, 24))


def maps_by_hand(slices):
    """Right maps, but in one slice the bright organ also lights up in a corner."""
    arrays = MapArrays.empty(len(slices), len(slices.organs), SIZE)
    for index, tags in enumerate(slices.tags):
        for c, place in enumerate((BRIGHT, DARK)[: len(tags)]):
            if tags[c]:
                arrays.maps[(index, c, *place)] = 1
                arrays.maps[index, c, 28:, 28:] = 0.4
                arrays.status[index, c] = MapStatus.OK
            else:
                arrays.status[index, c] = MapStatus.ABSENT
    return arrays


def run(
    name,
    folder,
    slices=None,
    reference=None,
    config=CONFIG,
    method="cam",
    reporter=None,
    **settings,
):
    slices = slices if slices is not None else toy_slices(organs=("bright", "dark"))
    source = maps_by_hand(slices)
    classifier = build_classifier(
        BackboneConfig(name="resnet10t", weights="none", frozen=0), len(slices.organs), seed=0
    )
    train = np.arange(len(slices) - 4)

    def refuse(side):
        raise FirewallError("masks")

    context = StepContext(
        slices, train, Spec(method), source, classifier, config.backbone, config.training,
        config.maps, 0, torch.device("cpu"), folder, reporter or Quiet(), reference or refuse,
    )  # fmt: skip
    out = MapArrays.empty(len(slices), len(slices.organs), SIZE)
    settings = settings or NEEDED.get(name, dict)()
    report = steps.get(name)(**settings).apply(source, context, out)
    return source, out, report


@pytest.mark.parametrize("name", sorted(steps))
@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")])
def test_what_every_step_keeps_to(name, organs, tmp_path):
    slices = toy_slices(organs=organs)
    _, out, report = run(name, tmp_path, slices)
    maps = out.maps.astype(np.float32)
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert not maps[slices.tags == 0].any()
    peaks = maps.max(axis=(2, 3))
    fine = out.status == MapStatus.OK
    assert fine.any()
    np.testing.assert_allclose(peaks[fine], 1, atol=1e-3)
    assert not peaks[out.status == MapStatus.ALL_NEGATIVE].any()
    assert np.array_equal(out.status == MapStatus.ABSENT, slices.tags == 0)
    assert isinstance(report.facts, dict)


@pytest.mark.parametrize("name", ["ac", "blend", "cc", "prior"])
def test_map_b_is_refused_to_a_step_that_may_not_see_masks(name, tmp_path):
    with pytest.raises(FirewallError):
        run(name, tmp_path, map="B")


def reference(side):
    """The bright organ was always in the corner."""
    labels = np.zeros((20, side, side), np.uint8)
    labels[:, 28:, 28:] = 1
    labels[(slice(None), *DARK)] = 2
    return labels


def test_anatomy_keeps_only_allowed_places_and_normalises_again(tmp_path):
    source, out, _ = run("ac", tmp_path, reference=reference, map="B")
    tagged = toy_slices().tags[:, 0] > 0
    assert not out.maps[tagged][(slice(None), 0, *BRIGHT)].any()
    assert (out.maps[tagged][:, 0, 28:, 28:] == 1).all()  # 0.4 became the maximum
    dark = toy_slices().tags[:, 1] > 0
    assert np.array_equal(
        out.maps[dark][(slice(None), 1, *DARK)], source.maps[dark][(slice(None), 1, *DARK)]
    )


def test_anatomy_from_predictions_finds_what_they_found(tmp_path):
    _, out, report = run("ac", tmp_path)
    tagged = toy_slices().tags[:, 0] > 0
    assert (out.maps[tagged][(slice(None), 0, *BRIGHT)] == 1).all()
    assert not out.maps[tagged][:, 0, 28:, 28:].any()  # 0.4 is below the threshold 0.5
    assert report.facts["allowed"] == pytest.approx([64 / 1024] * 2)


def test_anatomy_that_allows_everything_changes_no_bit(tmp_path):
    def everywhere(side):
        labels = np.ones((20, side, side), np.uint8)
        labels[1::2] = 2
        return labels

    source, out, _ = run("ac", tmp_path, reference=everywhere, map="B")
    assert np.array_equal(source.maps, out.maps)


def test_a_class_without_context_is_named_and_has_no_map(tmp_path):
    def bright_only(side):
        return np.minimum(reference(side), 1)

    _, out, report = run("ac", tmp_path, reference=bright_only, map="B")
    assert report.facts["never_found"] == ["dark"]
    tagged = toy_slices().tags[:, 1] > 0
    assert (out.status[tagged, 1] == MapStatus.ALL_NEGATIVE).all()
    assert not out.maps[:, 1].any()


def test_prior_alone_and_blend_by_hand(tmp_path):
    _, alone, _ = run("prior", tmp_path, reference=reference, map="B")
    tagged = toy_slices().tags[:, 0] > 0
    expected = np.zeros((SIZE, SIZE))
    expected[28:, 28:] = 1
    assert np.array_equal(alone.maps[tagged][3, 0], expected)
    _, mixed, _ = run("blend", tmp_path, reference=reference, map="B", weight=0.6)
    # 1 in the square, 0.4 + 0.6 in the corner.
    values = mixed.maps[tagged][3, 0].astype(np.float32)
    assert values[BRIGHT].min() == values[29, 29] == 1


def test_retraining_reports_what_the_prior_became(tmp_path):
    _, _, report = run("cc", tmp_path)
    assert set(report.facts) >= {"weight", "weight_start", "ratio", "attention", "slices"}
    assert report.facts["weight"] != report.facts["weight_start"]
    assert sum(report.facts["attention"]) == pytest.approx(1)
    assert report.facts["slices"] == 15
    assert report.notes == ()
    assert (tmp_path / "network.safetensors").exists()


def test_one_class_is_said_to_have_constant_attention(tmp_path):
    _, _, report = run("cc", tmp_path, toy_slices(organs=("bright",)))
    assert report.notes == ("attention constant",)
    assert report.facts["attention"] == [1.0]


def test_positives_only_sees_no_context(tmp_path):
    _, _, report = run("cc", tmp_path, map="none")
    assert not report.facts
    assert report.notes == ()


def test_no_positive_slice(tmp_path):
    slices = toy_slices()
    empty = type(slices)(
        slices.store, slices.rows, slices.tags * 0, slices.organs, False, slices.cases
    )
    for name in ("ac", "cc", "prior"):
        with pytest.raises(DataError, match="average over slices with an organ"):
            run(name, tmp_path, empty)


def test_cc_cannot_follow_a_method_that_learns():
    chain = parse_chain("lpcam[cc]")
    with pytest.raises(ConfigError, match="lpcam has to be fitted; put cc behind a method that"):
        chain.built[0].apply(None, type("Context", (), {"method": chain.head})(), None)


@pytest.mark.parametrize(
    "settings", [{"per_class": True}, {"paper_like": True}, {"faithful": True}]
)
def test_the_switches_of_cc(settings, tmp_path):
    _, out, report = run("cc", tmp_path, **settings)
    assert np.isfinite(out.maps).all()
    assert len(report.facts["ratio"]) == 2


@pytest.mark.parametrize("name", sorted(steps))
def test_maps_of_a_volume_are_on_one_scale_where_that_is_asked_for(name, tmp_path):
    slices = toy_slices()
    _, out, _ = run(name, tmp_path, config=CONFIG.changed({"maps.normalisation": "volume-max"}))
    for _, start, stop in slices.cases:
        maps, tags = out.maps[start:stop].astype(np.float32), slices.tags[start:stop]
        found = (out.status[start:stop] == MapStatus.OK).any(axis=0)
        assert tags.any(axis=0).all()
        np.testing.assert_allclose(maps.max(axis=(0, 2, 3))[found], 1, atol=1e-3)


@pytest.mark.parametrize("name", ["ac", "blend", "cc", "prior"])
def test_raw_maps_give_no_coarse_masks(name, tmp_path):
    with pytest.raises(ConfigError, match="normalisation=none leaves them on no scale"):
        run(name, tmp_path, config=CONFIG.changed({"maps.normalisation": "none"}))


def test_cc_behind_another_method_says_that_scales_differ(tmp_path):
    _, _, report = run("cc", tmp_path, method="eigen-cam")
    assert report.notes == ("prior on another scale",)
