"""The attention of timm's vision transformers: which blocks have it, and how it is seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.network.isolation import hooked


def attention_blocks(model: nn.Module, count: int, *, who: str) -> list[Any]:
    """Return the last blocks of a transformer, whose attention is a softmax over all tokens.

    Args:
        model: A timm model.
        count: How many, counted from the last one.
        who: What reads them, for the message.

    Raises:
        ConfigError: There are no such blocks, or not as many.
    """
    blocks = list(getattr(model, "blocks", ()))[-count:]
    suited = all(hasattr(getattr(block, "attn", None), "fused_attn") for block in blocks)
    if len(blocks) < count or not suited or not hasattr(model, "norm"):
        raise ConfigError(
            f"{who} reads the attention of {count} blocks of a vision transformer of timm, and "
            f"{type(model).__name__} has none such; choose another backbone, or another method"
        )
    return blocks


@contextmanager
def written_out(blocks: list[Any]) -> Iterator[None]:
    """Have attention computed step by step: the fused kernel keeps its probabilities to itself."""
    before = [block.attn.fused_attn for block in blocks]
    try:
        for block in blocks:
            block.attn.fused_attn = False
        yield
    finally:
        for block, fused in zip(blocks, before, strict=True):
            block.attn.fused_attn = fused


@contextmanager
def mean_attention(blocks: list[Any]) -> Iterator[list[Tensor]]:
    """Collect what blocks attend to while their network runs, the mean over their heads.

    Args:
        blocks: As :func:`attention_blocks` gives them.

    Yields:
        A list that grows by [B, queries, keys] with each block that is run; rows sum to 1.
    """
    seen: list[Tensor] = []

    def catch(_module: nn.Module, _inputs: object, attention: Tensor) -> None:
        seen.append(attention.mean(dim=1))

    with written_out(blocks), hooked(([block.attn.attn_drop for block in blocks], catch)):
        yield seen
