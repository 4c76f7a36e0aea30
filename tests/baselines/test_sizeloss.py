import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from camzoo_baselines.sizeloss import SeedAndSize, SizeLoss, core, disc
from camzoo_baselines.sizes import organ_sizes
from scipy.ndimage import binary_erosion

from camzoo.cams.pipeline import resize
from camzoo.core.errors import ConfigError, FirewallError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.registries import baselines
from camzoo.segment.unet import build_unet
from tests.segment.toy import toy_context, toy_masks

#: The toy's squares are 4096 pixels at 256 x 256.
BOUNDS = {"bright": (2500, 6000), "dark": (2500, 6000)}


def seeded_context(folder, **changes):
    return toy_context(folder, supervision=SizeLoss.supervision, reads=(), **changes)


def test_the_loss_by_hand():
    """Two classes at one half everywhere; 4 of 16 pixels marked; V = 32 768.

    The slice that shows the organ: b = 16 384, so 16 384² / 65 536 = 4096. The other: a = b = 0, so
    32 768² / 65 536 = 16 384. Their mean times 0.01 is 102.4, and the marks cost ln 2.
    """
    labels = torch.full((2, 4, 4), UNKNOWN)
    labels[0, :2, :2] = 1
    loss = SeedAndSize(torch.tensor([60.0]), torch.tensor([16_384.0]), 0.01)
    value = loss(torch.zeros(2, 2, 4, 4), labels, torch.tensor([[1.0], [0.0]]))
    assert value.item() == pytest.approx(102.4 + math.log(2))


def test_background_is_no_mark():
    """Pixels outside of a rotated slice are 0; they must not dilute the marks."""
    loss = SeedAndSize(torch.tensor([0.0]), torch.tensor([65_536.0]), 1.0)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, 0, 0] = 1
    logits = torch.zeros(1, 2, 4, 4)
    logits[:, 1, 0, 0] = math.log(3)
    value = loss(logits, labels, torch.ones(1, 1))
    assert value.item() == pytest.approx(math.log(4 / 3))


def test_a_disc_is_drawn_around_a_pixel_of_the_mask_and_clipped_to_it():
    mask = np.zeros((24, 40), bool)
    mask[8:20, 30:] = True
    generator = torch.Generator().manual_seed(0)
    discs = [disc(mask, 4, generator) for _ in range(50)]
    assert all((drawn <= mask).all() for drawn in discs)
    # A whole disc of radius 2 has 13 pixels; in the corner of the mask 6 of them are left.
    counts = {int(drawn.sum()) for drawn in discs}
    assert max(counts) == 13
    assert min(counts) >= 6
    assert len({drawn.tobytes() for drawn in discs}) > 20
    assert disc(mask, 1, generator).sum() == 1


@pytest.mark.parametrize("shape", [(21, 33), (9, 9)])
def test_the_core_is_what_erosion_leaves(shape):
    rng = np.random.default_rng(0)
    mask = np.ones(shape, bool)
    mask[rng.integers(0, shape[0], 3), rng.integers(0, shape[1], 3)] = False
    for most in (0, 2, 10):
        eroded = mask
        for _ in range(most):
            smaller = binary_erosion(eroded, np.ones((3, 3)))
            if not smaller.any():
                break
            eroded = smaller
        assert np.array_equal(core(mask, most), eroded)


def test_seeds_lie_in_the_masks_of_their_organs(tmp_path):
    context = seeded_context(tmp_path, side=64)
    seeds = SizeLoss(discs=("dark",)).seeds(context)
    masks = toy_masks(context.train)
    marked = seeds != UNKNOWN
    assert np.array_equal(seeds[marked], masks[marked])
    assert not marked[~context.train.tags.any(axis=1)].any()
    bright = (seeds == 1).sum(axis=(1, 2))[context.train.tags[:, 0] > 0]
    dark = (seeds == 2).sum(axis=(1, 2))[context.train.tags[:, 1] > 0]
    assert set(bright) == {144}  # 16² eroded twice, as 10 * 64 / 256 rounds to 2: 12²
    assert set(dark) == {1}  # the disc is one pixel wide


def test_what_is_too_small_for_a_tag_is_not_marked(tmp_path):
    """A slice may hold pixels of an organ, yet fewer than a tag takes."""
    context = seeded_context(tmp_path, side=64)
    assert context.train.tags[3].tolist() == [1, 1]
    tags = context.train.tags.copy()
    tags[3, 0] = tags[1, 0] = 0  # one slice keeps the other organ, one has none left
    context = replace(context, train=replace(context.train, tags=tags))
    seeds = SizeLoss().seeds(context)
    assert set(np.unique(seeds[3])) == {2, UNKNOWN}
    assert set(np.unique(seeds[1])) == {UNKNOWN}
    assert set(np.unique(seeds[5])) == {1, UNKNOWN}


def test_sizes_move_into_the_bounds_and_slices_are_predicted(tmp_path):
    context = seeded_context(tmp_path, epochs=20, lr=2e-2, rotate=0)
    images, tags = context.val.images(slice(None)), context.val.tag_tensor(slice(None)) > 0
    untrained = build_unet(3, context.config.segmentation.widths, seed=0).eval()
    with torch.no_grad():
        start = untrained(resize(images.float() / 255, 32)[:, None]).softmax(dim=1)
    assert (organ_sizes(start[:, 1:]) > 6000).all()

    baseline = SizeLoss(bounds=BOUNDS)
    baseline.fit(context)
    probabilities = baseline.predict(images)
    assert probabilities.shape == (8, 3, 32, 32)
    sizes = organ_sizes(probabilities[:, 1:])
    assert (sizes[tags] > 2250).all()
    assert (sizes[tags] < 6500).all()
    assert (sizes[~tags] < 1000).all()
    assert baseline.pseudo is None


def test_it_needs_its_supervision(tmp_path):
    assert baselines.get("sizeloss") is SizeLoss
    with pytest.raises(FirewallError):
        SizeLoss(bounds=BOUNDS).fit(toy_context(tmp_path, supervision=Supervision.IMAGE_SIZE))
    with pytest.raises(ConfigError, match="sizeloss: weight"):
        SizeLoss(weight=-1)
