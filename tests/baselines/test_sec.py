import math

import pytest
import torch
from camzoo_baselines.sec import Sec, SecLoss, expand_loss

from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.refine.crf import CrfSettings
from camzoo.registries import baselines
from tests.baselines.scenes import cores_context
from tests.segment.toy import toy_masks

#: On four pixels a decay that halves the weight from rank to rank.
HALF = 0.5 ** (4 / 1681)


def test_expansion_by_hand():
    """Two organs on 1 x 4 pixels; a slice shows the first of them, the other slice none."""
    first = torch.tensor([0.8, 0.4, 0.2, 0.0])
    second = torch.tensor([0.1, 0.1, 0.1, 0.25])
    one = torch.stack((1 - first - second, first, second))
    none = torch.stack((torch.full((4,), 0.4), torch.full((4,), 0.5), torch.full((4,), 0.1)))
    planes = torch.stack((one, none))[:, :, None]
    tags = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    value = expand_loss(planes, tags, HALF, 1.0)
    background = (0.1 + 0.5 + 0.7 + 0.75) / 4
    shown = -math.log(0.56) - math.log(0.75) - math.log(background)
    empty = -(math.log(0.5) + math.log(0.9)) / 2 - math.log(0.4)
    assert value.item() == pytest.approx((shown + empty) / 2, rel=1e-5)
    both = expand_loss(planes, torch.ones(2, 2), HALF, 1.0)
    pooled = [(1.05 / 1.875, (0.25 + 0.1 * 0.875) / 1.875), (0.5, 0.1)]
    expected = [-(math.log(a) + math.log(b)) / 2 for a, b in pooled]
    expected = (sum(expected) - math.log(background) - math.log(0.4)) / 2
    assert both.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_a_network_that_knows_nothing():
    """At one half everywhere each of both seeds, organ or its absence, and background costs ln 2.

    The CRF has nothing to change: the constraint costs nothing.
    """
    output = torch.zeros(2, 3, 8, 8)
    cues = torch.full((2, 8, 8), UNKNOWN)
    cues[0, 0, 0], cues[1, 1, 1] = 1, 0
    loss = SecLoss(4, CrfSettings(), 0.9, 0.99)
    value = loss(output, cues, torch.tensor([[1.0], [0.0]]))
    assert value.item() == pytest.approx(4 * math.log(2), rel=1e-4)


def learnt(folder, **settings):
    """Share of organs that is found in unseen slices, and found over true size, in pixels."""
    context = cores_context(folder, epochs=10)
    baseline = Sec(**settings)
    baseline.fit(context)
    assert baseline.images_per_second > 0
    found = baseline.predict(context.val.images(slice(None))).argmax(dim=1).numpy()
    masks = toy_masks(context.val)[:, ::2, ::2]
    return (found == masks)[masks > 0].mean(), (found > 0).sum() / (masks > 0).sum()


def test_what_is_shown_expands(tmp_path):
    """A quarter of each square is seeds; the more pixels pooling asks for, the more are found."""
    found, size = learnt(tmp_path / "expanded", organ_decay=0.996)
    seeded, least = learnt(tmp_path / "seeds", organ_decay=0.0)
    assert found > max(0.95, seeded)
    assert size > 1.2 * least


def test_it_is_registered_and_sees_tags_alone():
    assert baselines.get("sec") is Sec
    assert Sec.supervision is Supervision.IMAGE
    assert Sec.reads == ("cam",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organ_decay": 1.1}, "got 1.1 and 0.999"),
        ({"background_decay": -0.1}, "and -0.1"),
        ({"low": 0.9}, "low <= high"),
        ({"reach": 0.0}, "a CRF needs"),
    ],
)
def test_what_it_cannot_use_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Sec(**change)
