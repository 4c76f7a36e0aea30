import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.class_tokens import ClassTokenNet
from camzoo_baselines.mctformer import (
    ClassTokenCam,
    MctFormer,
    TokenLoss,
    fused,
    spread,
    starting_config,
    token_contrast,
)
from camzoo_baselines.weighted_means import rank_pooled
from safetensors.torch import save_file

from camzoo.cams.view.viewer import Viewer
from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.recipe import adamw
from camzoo.network.backbone import build_classifier
from camzoo.registries import baselines
from tests.baselines.test_class_tokens import classifier, told_apart
from tests.baselines.tiny import RECIPE, tiny_context
from tests.segment.toy import toy_masks
from tests.toy import toy_slices

VIEWS = Augmentation.of(RECIPE, sided=False)
#: A transformer of two blocks on patches of 8 pixels, small enough to learn in seconds.
SMALL = BackboneConfig(
    name="test_vit", weights="none", channels=1, frozen=0,
    arguments={"img_size": 64, "patch_size": 8, "depth": 2, "embed_dim": 32},
)  # fmt: skip


def softplus(x):
    return math.log1p(math.exp(x))


def test_the_contrast_by_hand():
    """Two tokens at a right angle cost log(1 + 1/e) each, two that point one way log 2.

    The first slice shows one class, behind a block of either kind, the second one none.
    """
    apart, alike = torch.tensor([[3.0, 0.0], [0.0, 0.5]]), torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    tokens = torch.stack((torch.stack((apart, alike)), torch.stack((alike, alike))))
    tags = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    expected = (softplus(-1) + math.log(2)) / 2
    assert token_contrast(tokens, tags).item() == pytest.approx(expected)
    both = token_contrast(tokens, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert both.item() == pytest.approx((expected + math.log(2)) / 2)
    assert token_contrast(tokens, tags * 0).item() == 0
    assert token_contrast(tokens[:, :, :1], tags[:, :1]).item() == 0


def test_the_contrast_is_that_of_loops():
    """Each class of each slice and block on its own, with torch's own cosine and cross-entropy."""
    torch.manual_seed(0)
    tokens, tags = torch.randn(3, 2, 4, 5), torch.tensor([[1, 0, 1, 1], [0] * 4, [0, 1, 0, 0]])
    of_slices = []
    for blocks, tag in zip(tokens, tags, strict=True):
        losses = []
        for c in tag.nonzero()[:, 0]:
            for block in blocks:
                cosines = F.cosine_similarity(block[c][None], block, dim=1)
                losses.append(F.cross_entropy(cosines, c))
        if losses:
            of_slices.append(torch.stack(losses).mean())
    expected = torch.stack(of_slices).mean()
    torch.testing.assert_close(token_contrast(tokens, tags.float()), expected)


class Given:
    """Class tokens behind two blocks, and a map of 1 x 4 patches, of two slices and two classes."""

    tokens = torch.tensor([[[2.0, 0.0], [1.0, -3.0]], [[0.5, 1.5], [-1.0, -1.0]]])
    cam = torch.tensor([[[0.0, 4.0, 1.0, 2.0], [-1.0, -1.0, -1.0, -1.0]]])[:, :, None]

    def __call__(self, _views):
        earlier = torch.randn(2, 1, 2, 2, generator=torch.Generator().manual_seed(0))
        return torch.cat((earlier, self.tokens[:, None]), dim=1), self.cam.expand(2, 2, 1, 4)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_tokens_and_patches_learn_the_tags(weight):
    """Logits of tokens are 1, -1 and 1, -1; those of patches 3.25/1.875 + ..., and -1.

    On four patches a decay of 2^(-1/196) over 28 x 28 ones halves the weight from rank to rank.
    """
    decay = 0.5 ** (4 / 784)
    loss = TokenLoss(Given(), VIEWS, "fp32", weight, decay)
    tags = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    value, logits = loss.on_views(torch.rand(2, 64, 64), tags)
    pooled = (4 + 2 / 2 + 1 / 4 + 0 / 8) / 1.875
    of_tokens = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    of_patches = torch.tensor([[pooled, -1.0], [pooled, -1.0]])
    expected = sum(F.multilabel_soft_margin_loss(each, tags) for each in (of_tokens, of_patches))
    contrast = token_contrast(Given()(None)[0], tags)
    torch.testing.assert_close(value, expected + weight * contrast)
    torch.testing.assert_close(logits, (of_tokens + of_patches) / 2)


def test_maps_are_fused_by_hand():
    """Two classes and two patches: each token's attention to patches times what CAM has above 0."""
    cam = torch.tensor([[[[4.0, -1.0]], [[1.0, 2.0]]]])
    first, second = torch.rand(2, 1, 4, 4)
    first[0, :2, 2:] = torch.tensor([[0.5, 0.3], [0.2, 0.6]])
    second[0, :2, 2:] = torch.tensor([[0.1, 0.3], [0.0, 0.4]])
    expected = [[math.sqrt(0.3 * 4), 0], [math.sqrt(0.1), math.sqrt(0.5 * 2)]]
    found = fused(cam, [first, second])
    torch.testing.assert_close(found, torch.tensor(expected)[None, :, None])
    torch.testing.assert_close(fused(cam, [second])[0, 1, 0, 1], torch.tensor(math.sqrt(0.8)))


def test_maps_spread_to_the_patches_that_attend_to_them():
    """Plain loops over two blocks, two slices, two classes and 2 x 3 patches behind two tokens."""
    torch.manual_seed(0)
    maps, blocks = torch.rand(2, 2, 2, 3), [torch.rand(2, 8, 8).softmax(2) for _ in range(2)]
    found = spread(maps, blocks)
    for b in range(2):
        for c in range(2):
            for i in range(6):
                value = 0.0
                for block in blocks:
                    for j in range(6):
                        value += block[b, 2 + i, 2 + j] * maps[b, c, j // 3, j % 3] / 2
                torch.testing.assert_close(found[b, c, i // 3, i % 3], value)


@pytest.mark.parametrize("refine", [True, False])
@torch.no_grad()
def test_the_map_of_a_slice_is_made_of_its_last_blocks_in_any_batch(refine):
    network = told_apart(ClassTokenNet(classifier(3), seed=0).eval())
    grey = torch.rand(6, 64, 96)
    view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
    maps = ClassTokenCam(network, 1, refine=refine)(view)
    assert maps.shape == (6, 3, 4, 6)
    assert maps.amin((2, 3)).eq(0).all()
    assert maps.amax((2, 3)).gt(0).any()
    cam, attention = network.attended(view.images[5:])
    expected = fused(cam, attention[1:])
    expected = spread(expected, attention) if refine else expected
    torch.testing.assert_close(maps[5:], expected - expected.amin((2, 3), keepdim=True))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A network that has learnt the tags of toy slices."""
    network = ClassTokenNet(build_classifier(SMALL, 2, seed=0), seed=0)
    loss = TokenLoss(network, VIEWS, "fp32", 1.0, 0.9)
    recipe = adamw(RECIPE.model_copy(update={"epochs": 60}), lr=4e-3, weight_decay=0.05)
    checkpoint = tmp_path_factory.mktemp("learnt") / "tokens"
    own = {"seed": 0, "device": torch.device("cpu"), "checkpoint": checkpoint}
    minimise(loss, network, toy_slices(16), recipe, **own)
    return network.eval()


@torch.no_grad()
def test_tokens_learn_to_tell_the_tags_of_unseen_slices_and_are_apart(learnt):
    unseen = toy_slices(16, seed=1)
    tokens, cam = learnt(unseen.images(slice(None)).float() / 255)
    tags = unseen.tag_tensor(slice(None))
    for logits in (tokens[:, -1].mean(2), rank_pooled(cam, 0.9, places=784)):
        assert ((logits > 0) == (tags > 0)).float().mean() > 0.9
    assert token_contrast(tokens, tags) < 0.5 * math.log(2)


@torch.no_grad()
def test_maps_of_unseen_slices_lie_on_their_own_organs(learnt):
    """An organ fills one patch in sixteen, and most of its map lies there.

    Without refinement: two blocks that begin from nothing learn no likeness to spread by.
    """
    unseen = toy_slices(16, seed=1)
    images = learnt.classifier.normalise(unseen.images(slice(None)).float() / 255)
    maps = ClassTokenCam(learnt, 2, refine=False)(Viewer(learnt.classifier.model)(images))
    truth = torch.from_numpy(toy_masks(unseen))[:, 4::8, 4::8]
    for organ in (0, 1):
        shown = unseen.tags[:, organ] > 0
        of_organ, where = maps[shown, organ], truth[shown] == organ + 1
        inside = (of_organ * where).sum((1, 2)) / of_organ.sum((1, 2))
        assert inside.min() > 0.5


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")], ids=len)
def test_it_trains_and_predicts(organs, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=(), organs=organs)
    baseline = baselines.get("mctformer")(backbone="test_vit", layers=6)
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), len(organs), 16, 16)
    assert set(np.unique(baseline.pseudo)) <= set(range(len(organs) + 1))
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, len(organs) + 1, 32, 32)


@pytest.mark.parametrize(
    ("run", "weights", "expected"),
    [
        ({"name": "resnet10t", "weights": "none"}, "run", "none"),
        ({"name": "resnet10t", "weights": "imagenet"}, "run", "imagenet"),
        ({"name": "resnet10t", "weights": "a.pth"}, "run", "imagenet"),
        ({"name": "resnet10t", "weights": "imagenet"}, "none", "none"),
        ({"name": "resnet10t", "weights": "none"}, "imagenet", "imagenet"),
        ({"name": "test_vit", "weights": "none"}, "run", "none"),
        ({"name": "test_vit", "weights": "a.pth"}, "none", "none"),
    ],
)
def test_what_it_starts_from(run, weights, expected):
    run = BackboneConfig(**run, channels=1, frozen="all", stages=(1,))
    start = starting_config(run, "test_vit", weights)
    assert (start.name, start.weights, start.channels) == ("test_vit", expected, 1)
    assert (start.frozen, start.stages, start.arguments) == (0, (), {"drop_path_rate": 0.1})


def test_where_the_run_has_the_same_backbone_its_file_of_weights_is_read(tmp_path):
    """A slice of one channel: the kernels of the file's three are summed."""
    given = build_classifier(SMALL.model_copy(update={"channels": 3}), 2, seed=5).model
    save_file(given.state_dict(), tmp_path / "vit.safetensors")
    changes = {"weights": tmp_path / "vit.safetensors", "frozen": 1}
    start = starting_config(SMALL.model_copy(update=changes), "test_vit", "run")
    assert start.arguments == {**SMALL.arguments, "drop_path_rate": 0.1}
    model = ClassTokenNet(build_classifier(start, 3, seed=0), seed=0).classifier.model
    assert model.blocks[1].mlp.fc1.weight.equal(given.blocks[1].mlp.fc1.weight)
    assert model.cls_token.equal(given.cls_token.repeat(1, 3, 1))
    kernels = given.patch_embed.proj.weight.sum(1, keepdim=True)
    torch.testing.assert_close(model.patch_embed.proj.weight, kernels)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "test_vit", "layers": 7}, "mctformer reads the attention of 7 blocks"),
        ({"backbone": "resnet10t"}, "mctformer reads the attention of 12 blocks"),
        ({"backbone": "test_vit2", "layers": 2}, "class tokens need a vision transformer"),
    ],
    ids=str,
)
def test_networks_that_will_not_do_are_refused(settings, message, tmp_path):
    context, _ = tiny_context(tmp_path, RECIPE, reads=())
    with pytest.raises(ConfigError, match=message):
        MctFormer(**settings).fit(context)


def test_weights_that_cannot_be_had_say_what_else_there_is(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no network")

    context, _ = tiny_context(tmp_path, RECIPE, reads=())
    monkeypatch.setattr("timm.create_model", no_network)
    with pytest.raises(ConfigError, match=r"no network.* the setting weights=none of mctformer"):
        MctFormer("test_vit", weights="imagenet", layers=6).fit(context)


def test_views_that_patches_do_not_divide_are_refused(tmp_path):
    context, _ = tiny_context(tmp_path, RECIPE.model_copy(update={"crop": 72}), reads=())
    with pytest.raises(ConfigError, match=r"does not take images of 72 x 72 pixels .* 160 x 160"):
        MctFormer("test_vit", layers=6).fit(context)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "deit_smal_patch16_224"}, "unknown backbone .* deit_small_patch16_224"),
        ({"weights": "mine.pth"}, "mctformer: weights takes run, imagenet or none, got"),
        ({"layers": 0}, "mctformer: layers takes a whole number from 1 to 1000, got 0"),
        ({"decay": 1.5}, "mctformer: decay takes a number from 0 to 1, got"),
        ({"weight": -1}, "mctformer: weight takes"),
        ({"lr": 0.0}, "mctformer: lr takes a number above 0"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MctFormer(**settings)
