import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.network.attention import attention_blocks, mean_attention
from tests.cams.networks import lively, pictures


def test_the_mean_over_heads_is_collected_block_by_block():
    """Queries and keys of each block are worked out here, of two images of 4 x 6 patches."""
    model, images = lively("test_vit", 3, img_size=(64, 96), depth=3), pictures(2)
    blocks, given = attention_blocks(model, 2, who="a test"), []
    for block in blocks:
        block.attn.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.no_grad(), mean_attention(blocks) as attention:
        model(images)
    assert [each.shape for each in attention] == [(2, 25, 25)] * 2
    for block, tokens, found in zip(blocks, given, attention, strict=True):
        heads, width = block.attn.num_heads, tokens.shape[2]
        projected = block.attn.qkv(tokens).view(2, 25, 3, heads, width // heads)
        query, key, _ = projected.permute(2, 0, 3, 1, 4)
        scores = (query / (width // heads) ** 0.5) @ key.mT
        torch.testing.assert_close(found, scores.softmax(-1).mean(1))


def test_the_network_goes_on_as_before():
    model, images = lively("test_vit", 3, img_size=(64, 96), depth=2), pictures(1)
    model.blocks[0].attn.fused_attn = False
    with mean_attention(list(model.blocks)) as attention:
        model(images)
        assert not any(block.attn.fused_attn for block in model.blocks)
    assert [block.attn.fused_attn for block in model.blocks] == [False, True]
    model(images)
    assert len(attention) == 2


def test_what_has_no_such_attention_is_refused():
    model = lively("test_vit", 3, img_size=(64, 96), depth=2)
    assert attention_blocks(model, 1, who="a test") == [model.blocks[1]]
    with pytest.raises(ConfigError, match="a test reads the attention of 3 blocks"):
        attention_blocks(model, 3, who="a test")
