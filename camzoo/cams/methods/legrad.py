"""LeGrad: how much more a class would be seen if a patch got more attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.ranges import Whole
from camzoo.network.attention import attention_blocks, written_out
from camzoo.network.isolation import evaluating, grad_mode, hooked
from camzoo.network.layout import layout_in


@register_cam("legrad")
class LeGrad(CamMethod):
    """Mean over blocks l and heads of sum_q ReLU(dy_c^l / dA^l_q), of the patches as keys.

    A^l [heads, queries, keys] is the attention of block l of a vision transformer, and y^l the
    logits that the network's own norm and head give of the tokens behind that block. The sum over
    queries q is the number of tokens times the mean of the paper, for the reason that other
    gradients are multiplied by the number of places. Maps do not depend on the target layer.

    Args:
        blocks: How many blocks, counted from the last one; 2 in the authors' code.
    """

    paper = "Bousselham et al., arXiv 2404.03214"
    cost = "1 forward, and 1 backward per class and block, of vision transformers alone"
    needs_attention = True

    def __init__(self, blocks: int = 2) -> None:
        Whole(1, 1000).require("legrad: blocks", blocks)
        self.blocks = blocks

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the maps on the grid of the patches, [B, C, h, w].

        Raises:
            ConfigError: The network is no vision transformer of timm, or has fewer blocks.
        """
        model = view.viewer.model
        blocks = attention_blocks(model, self.blocks, who="legrad")
        with evaluating(model), grad_mode(enabled=True):
            seen = _run(model, blocks, view.images)
            maps = [
                _relevance(model.forward_head(model.norm(tokens)), attention)  # type: ignore[operator]
                for attention, tokens in seen
            ]
        height, width = view.images.shape[2:]
        layout = layout_in(model, seen[0][1].shape, (height, width))
        assert layout is not None  # or there would be no view
        mean: Tensor = torch.stack(maps).mean(dim=0)
        return mean[..., layout.prefix :].view(*mean.shape[:2], *layout.grid)


def _run(model: nn.Module, blocks: list[Any], images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Run the network; of each block give its attention, as a leaf, and the tokens behind it."""
    attentions: dict[nn.Module, Tensor] = {}
    tokens: dict[nn.Module, Tensor] = {}
    drops = {block.attn.attn_drop: block for block in blocks}

    def catch(module: nn.Module, _: object, output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_()
        attentions[drops[module]] = leaf
        return leaf

    def keep(module: nn.Module, _: object, output: Any) -> None:
        tokens[module] = output

    with written_out(blocks), hooked((drops, catch), (blocks, keep)):
        model(images.detach().clone())
    return [(attentions[block], tokens[block]) for block in blocks]


def _relevance(logits: Tensor, attention: Tensor) -> Tensor:
    """Return ReLU(dy_c / dA), its sum over queries and mean over heads, [B, C, keys]."""
    grads = [
        torch.autograd.grad(logits[:, c].sum(), attention, retain_graph=True)[0]
        for c in range(logits.shape[1])
    ]
    return torch.stack([grad.relu().sum(dim=2).mean(dim=1) for grad in grads], dim=1).float()
