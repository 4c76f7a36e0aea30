import copy

import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.class_tokens import ClassTokenNet

from camzoo.core.errors import ConfigError
from camzoo.network.backbone import Classifier
from tests.baselines.tiny import tiny_classifier
from tests.cams.networks import lively

MEAN, STD = 0.4, 0.2


def classifier(classes=3, **options):
    """A transformer of two blocks on 4 x 6 patches of one channel, none of which is symmetric."""
    small = {"img_size": (64, 96), "depth": 2, "embed_dim": 16, "in_chans": 1}
    pooled = {"global_pool": "avg", "fc_norm": False}
    model = lively("test_vit", classes, **small, **pooled, **options)
    torch.manual_seed(1)
    model.cls_token.data.normal_()
    return Classifier(model, (MEAN,), (STD,), frozen_norm=False)


def told_apart(network):
    """The same network with class tokens and positions that differ, as after some training."""
    torch.manual_seed(2)
    for parameter in (network.classifier.model.cls_token, network.classifier.model.pos_embed):
        parameter.data.add_(torch.randn_like(parameter))
    return network


def written_down(model, head, grey, classes):
    """The network step by step: class tokens behind each block, CAM, and attention of each block.

    Tokens are C classes, then registers, then 24 patches row by row.
    """
    images = (grey[:, None] - MEAN) / STD
    count, width = len(images), model.cls_token.shape[2]
    patches = F.conv2d(
        images, model.patch_embed.proj.weight, model.patch_embed.proj.bias, stride=16
    )
    prefix = [model.cls_token] + ([model.reg_token] if model.reg_token is not None else [])
    patches = patches.flatten(2).mT
    if model.no_embed_class:
        patches = patches + model.pos_embed
    tokens = torch.cat([*(each.expand(count, -1, -1) for each in prefix), patches], dim=1)
    if not model.no_embed_class:
        tokens = tokens + model.pos_embed
    behind, attentions = [], []
    for block in model.blocks:
        heads = block.attn.num_heads
        projected = block.attn.qkv(block.norm1(tokens)).view(count, -1, 3, heads, width // heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attention = (query @ key.mT / (width // heads) ** 0.5).softmax(-1)
        mixed = (attention @ value).transpose(1, 2).reshape(count, -1, width)
        tokens = tokens + block.attn.proj(mixed)
        tokens = tokens + block.mlp(block.norm2(tokens))
        behind.append(tokens[:, :classes])
        attentions.append(attention.mean(1))
    last = tokens[:, -24:].mT.reshape(count, width, 4, 6)
    cam = F.conv2d(last, head.weight, head.bias, padding=1)
    return torch.stack(behind, dim=1), cam, attentions


@pytest.mark.parametrize("options", [{}, {"reg_tokens": 2}, {"no_embed_class": True}], ids=str)
@torch.no_grad()
def test_tokens_maps_and_attention_are_those_of_the_network_written_down(options):
    network = told_apart(ClassTokenNet(classifier(3, **options), seed=0).eval())
    grey = torch.rand(2, 64, 96)
    expected = written_down(network.classifier.model, network.head, grey, 3)
    tokens, cam = network(grey)
    again, attention = network.attended(network.classifier.normalise(grey))
    assert tokens.shape == (2, 2, 3, 16)
    assert cam.shape == (2, 3, 4, 6)
    torch.testing.assert_close(tokens, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(cam, expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again, expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(attention, expected[2])


@torch.no_grad()
def test_class_tokens_start_as_the_one_of_the_weights():
    given = classifier(3)
    before = copy.deepcopy(given.model)
    network = ClassTokenNet(given, seed=0).eval()
    model = network.classifier.model
    assert model.num_prefix_tokens == 3
    for number in range(3):
        assert model.cls_token[0, number].equal(before.cls_token[0, 0])
        assert model.pos_embed[0, number].equal(before.pos_embed[0, 0])
    assert model.pos_embed[0, 3:].equal(before.pos_embed[0, 1:])
    tokens, _ = network(torch.rand(2, 64, 96))
    torch.testing.assert_close(tokens[:, :, 0], tokens[:, :, 2])


@torch.no_grad()
def test_with_one_organ_it_is_the_transformer_itself():
    given = classifier(1)
    before = copy.deepcopy(given.model)
    network, grey = ClassTokenNet(given, seed=0).eval(), torch.rand(2, 64, 96)
    tokens, _ = network(grey)
    expected = before.forward_intermediates(
        given.normalise(grey), return_prefix_tokens=True, intermediates_only=True
    )
    for number, (_, prefix) in enumerate(expected):
        torch.testing.assert_close(tokens[:, number], prefix)


@torch.no_grad()
def test_it_takes_other_sizes_than_it_was_made_for():
    tokens, cam = ClassTokenNet(classifier(2), seed=0).eval()(torch.rand(2, 96, 32))
    assert tokens.shape == (2, 2, 2, 16)
    assert cam.shape == (2, 2, 6, 2)


def test_the_seed_is_that_of_the_convolution():
    first, second, other = (
        ClassTokenNet(classifier(2), seed=seed).head.weight for seed in (5, 5, 6)
    )
    assert first.equal(second)
    assert not first.equal(other)


def test_networks_without_a_class_token_are_refused():
    vit = lively("test_vit2", 2, img_size=(64, 96))
    for given in (tiny_classifier(), Classifier(vit, (0.4,), (0.2,), frozen_norm=False)):
        with pytest.raises(ConfigError, match="class tokens need a vision transformer of timm"):
            ClassTokenNet(given, seed=0)
