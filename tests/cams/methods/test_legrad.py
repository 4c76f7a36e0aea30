import pytest
import torch

from camzoo.cams.methods.legrad import LeGrad
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from tests.cams.networks import lively, pictures

POOLINGS = {"token": {}, "avg": {"global_pool": "avg", "fc_norm": False}}


def network(pooling):
    return lively("test_vit", 3, img_size=(64, 96), **POOLINGS[pooling])


def through_block(model, number, images, classes=3):
    """Gradients of the logits in the attention of one block, which is computed step by step here.

    [C, B, heads, queries, keys]. The tokens behind the block go to the norm and the head.
    """
    given = []
    block = model.blocks[number]
    handle = block.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].detach()))
    model(images)
    handle.remove()
    (tokens,) = given
    batch, count, width = tokens.shape
    heads = block.attn.num_heads
    with torch.enable_grad():
        qkv = block.attn.qkv(block.norm1(tokens)).view(batch, count, 3, heads, width // heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.mT / (width // heads) ** 0.5
        attention = scores.softmax(-1).detach().requires_grad_()
        mixed = (attention @ value).transpose(1, 2).reshape(batch, count, width)
        middle = tokens + block.attn.proj(mixed)
        logits = model.forward_head(model.norm(middle + block.mlp(block.norm2(middle))))
        grads = [
            torch.autograd.grad(logits[:, c].sum(), attention, retain_graph=True)[0]
            for c in range(classes)
        ]
    return torch.stack(grads)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_maps_are_positive_gradients_of_the_attention_of_each_block(pooling):
    """The authors' formula, with the patches behind the class token laid out row by row."""
    model, images = network(pooling), pictures(2)
    maps = LeGrad(blocks=2)(Viewer(model)(images))
    expected = 0
    for number in (4, 5):
        positive = through_block(model, number, images).clamp(min=0)
        expected += positive.mean(2).sum(2).transpose(0, 1)[..., 1:].reshape(2, 3, 4, 6) / 2
    assert expected.std() > 0.1 * expected.mean()
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)


def test_the_network_goes_on_as_before():
    model, images = network("avg"), pictures(2)
    before = model(images)
    LeGrad()(Viewer(model)(images))
    assert all(block.attn.fused_attn for block in model.blocks)
    assert torch.equal(model(images), before)


def test_what_has_no_such_attention_is_refused():
    resnet = lively("test_resnet", 3, channels=(8, 8, 16, 16))
    with pytest.raises(ConfigError, match="attention of 2 blocks of a vision transformer of timm"):
        LeGrad()(Viewer(resnet)(pictures(2)))
    with pytest.raises(ConfigError, match="attention of 9 blocks"):
        LeGrad(blocks=9)(Viewer(network("avg"))(pictures(2)))
