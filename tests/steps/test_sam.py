"""The step of Segment Anything: what it asks, what becomes of the answers, and what rows say."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion

from camzoo.cams.map_arrays import MapStatus
from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.refine.prompts import INSIDE, OUTSIDE
from camzoo.refine.segment_anything import Answers, SegmentAnything
from camzoo.steps import sam
from camzoo.steps.chain import parse_chain
from tests.steps.ccam.test_steps import BRIGHT, CONFIG, DARK, SIZE, run
from tests.toy import toy_slices

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {"weights": "owner/model", "revision": COMMIT}


class Flood:
    """Answers with the pixels that are as grey as the first point, and with all of the slice."""

    def __init__(self):
        self.slices = []

    def ask(self, grey, prompts, precision):
        self.slices.append(grey.clone())
        self.prompts = prompts
        x, y = (prompts.points[:, :, 0] * grey.shape[-1]).long().unbind(-1)
        seed = torch.stack([image[v, u] for image, v, u in zip(grey, y, x, strict=True)])
        alike = (grey[:, None] - seed[..., None, None]).abs() < 0.1
        masks = torch.stack([torch.ones_like(alike), alike], dim=2)
        logits = torch.where(masks, 2.0, -2.0)
        return Answers(logits, torch.full(logits.shape[:3], 0.5))


@pytest.fixture
def flood(monkeypatch):
    network = Flood()
    monkeypatch.setattr(SegmentAnything, "load", classmethod(lambda *_: network))
    return network


def test_the_object_under_the_map_becomes_the_map(flood, tmp_path):
    """The bright square also lights up in a corner, which is not as bright."""
    source, out, _ = run("sam", tmp_path, **HUB)
    tags = toy_slices().tags
    for organ, place in enumerate((BRIGHT, DARK)):
        inside = np.zeros((SIZE, SIZE), bool)
        inside[place] = True
        # Borders lie between.
        core, around = binary_erosion(inside), ~binary_dilation(inside, iterations=2)
        for index in np.flatnonzero(tags[:, organ]):
            found = out.maps[index, organ].astype(np.float32)
            assert np.array_equal(found > 0.5, inside)
            np.testing.assert_allclose(found[core], 1, atol=2e-3)
            np.testing.assert_allclose(found[around], np.exp(-2), atol=2e-3)  # of logits -2 and 2
    assert (source.maps[:, 0, 30, 30][tags[:, 0] > 0] > 0.3).all()


def test_slices_without_an_organ_are_not_even_looked_at(flood, tmp_path):
    slices = toy_slices(count=70)  # they come in parts of 64
    _, out, _ = run("sam", tmp_path, slices, **HUB)
    shown = np.flatnonzero(slices.tags.any(axis=1))
    seen = torch.cat(flood.slices)
    assert torch.equal(seen, slices.grey(shown, torch.device("cpu")))
    assert max(map(len, flood.slices)) <= 4
    assert not out.maps[slices.tags == 0].any()
    assert (out.status[slices.tags == 0] == MapStatus.ABSENT).all()


def test_settings_reach_the_prompts_and_the_choice_of_a_mask(flood, tmp_path, monkeypatch):
    levels = set()
    monkeypatch.setattr(sam, "fitting_maps", lambda _, maps, level: (levels.add(level), maps)[1])
    run("sam", tmp_path, points=3, apart=0.5, level=0.3, **HUB)
    assert levels == {0.3}
    labels = flood.prompts.labels
    assert labels.shape[-1] == 3 + 1 + 1
    assert (labels[..., :2] == INSIDE).any(dim=0).all(), "the corner is a second point"
    assert (labels[..., -1] == OUTSIDE).any()
    assert flood.prompts.boxes[..., 2].max() == pytest.approx(31.5 / 32), "it reaches the corner"
    run("sam", tmp_path, prompts="points", outside=False, **HUB)
    assert flood.prompts.labels.shape[-1] == 1
    assert flood.prompts.boxes is None


def test_a_map_that_found_nothing_stays_empty(flood, tmp_path, monkeypatch):
    """Though its tag says that the organ is there."""
    from tests.steps.ccam import test_steps

    def empty(slices):
        arrays = by_hand(slices)
        arrays.maps[:, 0] = 0
        return arrays

    by_hand = test_steps.maps_by_hand
    monkeypatch.setattr(test_steps, "maps_by_hand", empty)
    _, out, _ = run("sam", tmp_path, **HUB)
    shown = toy_slices().tags[:, 0] > 0
    assert not out.maps[:, 0].any()
    assert (out.status[shown, 0] == MapStatus.ALL_NEGATIVE).all()


def test_the_same_weights_give_the_same_maps_and_are_named_by_their_content(tmp_path):
    (tmp_path / "again").mkdir()
    _, first, told = run("sam", tmp_path)
    _, second, again = run("sam", tmp_path / "again")
    assert np.array_equal(first.maps, second.maps)
    assert told == again
    digest = told.facts["sam"]["weights"]
    assert told.notes == (f"sha256 {digest[:8]}",)
    assert len(digest) == 64


def test_a_model_of_a_hub_is_named_by_its_commit(flood, tmp_path):
    _, _, told = run("sam", tmp_path, **HUB)
    assert told.notes == ()
    assert told.facts["sam"]["weights"] == COMMIT


@pytest.mark.parametrize("normalisation", ["none", "min-max"])
def test_any_normalisation_of_maps_will_do(flood, tmp_path, normalisation):
    config = CONFIG.changed({"maps.normalisation": normalisation})
    _, out, _ = run("sam", tmp_path, config=config, **HUB)
    assert np.isfinite(out.maps.astype(np.float32)).all()
    assert out.maps.max() <= 1


def test_rows_say_that_masks_of_other_images_stand_behind_it():
    chain = parse_chain(f"cam[sam]:weights=owner/model:revision={COMMIT}")
    assert chain.supervision is Supervision.IMAGE_SAM
    assert not chain.supervision.ranked
    assert not chain.supervision.opens_masks
    assert "oracle-prior" not in chain.variant
    both = parse_chain("cam[ac:map=B,sam]")
    assert both.supervision is Supervision.MASK
    assert both.variant == "map=B oracle-prior"


def test_a_path_is_in_no_variant(tmp_path):
    folder = tmp_path / "sam2-tiny"
    folder.mkdir()
    chain = parse_chain(f"cam[aff,sam]:weights={folder}:epochs=2")
    assert chain.variant == "epochs=2 weights=sam2-tiny"
    assert str(chain.public) == "cam[aff,sam]:epochs=2:weights=sam2-tiny"
    assert parse_chain(str(chain)) == chain


def test_without_weights_one_line_says_what_to_give(tmp_path):
    with pytest.raises(ConfigError, match=r"sam needs weights of .*cam\[sam\]:weights=FOLDER"):
        run("sam", tmp_path, weights="")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cam[sam]:weights=nowhere", "sam: there are no weights of Segment Anything at 'nowhere'"),
        ("cam[sam]:weights=a/b", "sam: a/b is no folder here"),
        ("cam[sam]:revision=main", "sam: there are no weights of Segment Anything at ''"),
        ("cam[sam]:points=0", "sam: points per organ are 1 to 32, got 0"),
        ("cam[sam]:prompts=lines", "sam: the kind of prompts is points, box or both"),
    ],
)
def test_what_is_refused_before_a_run_begins(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_chain(text)
