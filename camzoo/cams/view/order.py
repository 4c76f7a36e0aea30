"""Whether a row of tokens lies in the image as one reads: row by row, from the top left.

Nothing in a layer's output says so. Networks that attend within windows or units (Hiera) keep their
tokens in another order, and a map that took them for rows would be scrambled. So it is tried out:
a patch of the image is disturbed, and the token that lies there has to answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from camzoo.cams.view.cut import Cut, Trace
from camzoo.core.errors import ConfigError
from camzoo.network.isolation import grad_mode
from camzoo.network.layout import Layout

#: How many patches are disturbed.
_PATCHES: Final = 8
#: Share of the strongest answer that the token of the patch gives, at least, in the median.
_ANSWER: Final = 0.5


def in_raster_order(cut: Cut, trace: Trace, index: int, layout: Layout, place: str) -> Layout:
    """Return the layout with the order in which its tokens lie in the image.

    Args:
        cut: Runs the network.
        trace: A pass of it.
        index: Which of the target layers.
        layout: How its output is arranged; what is no row of tokens comes back as it is.
        place: What messages call the layer.

    Raises:
        ConfigError: The tokens lie in an order that is not known.
    """
    if layout.kind != "tokens" or min(layout.grid) < 2:
        return layout
    cells = _cells(layout)
    answers = _answers(cut, trace, index, layout, cells)
    for order in (None, *_known_orders(cut.model, layout)):
        tokens = cells if order is None else order[cells]
        if float((answers.gather(1, tokens[:, None])).median()) >= _ANSWER:
            return replace(layout, order=None if order is None else order.to(trace.images.device))
    raise ConfigError(
        f"{place}: the tokens do not lie in the image row by row, and in which order they do is "
        "not known; choose another layer"
    )


def _cells(layout: Layout) -> Tensor:
    """Places to disturb, spread at random over the grid, the same at every call."""
    places = layout.grid[0] * layout.grid[1]
    return torch.randperm(places, generator=torch.Generator().manual_seed(0))[:_PATCHES]


def _answers(cut: Cut, trace: Trace, index: int, layout: Layout, cells: Tensor) -> Tensor:
    """How far each token moves when a cell is disturbed, as shares of the farthest, [P, tokens]."""
    image = trace.images[:1].detach()
    batch = torch.cat((image, _disturbed(image, layout, cells)))
    step = max(1, len(trace.images))
    with grad_mode(enabled=False), trace.autocast():
        outputs = [cut.forward(part, graph=False).outputs[index] for part in batch.split(step)]
    tokens = torch.cat(outputs)[:, layout.prefix :].float()
    moved = (tokens[1:] - tokens[:1]).norm(dim=2)
    shares: Tensor = moved / moved.amax(1, keepdim=True).clamp_min(1e-12)
    return shares.cpu()


def _disturbed(image: Tensor, layout: Layout, cells: Tensor) -> Tensor:
    """Copies of an image, each with noise in the patch of one cell."""
    height, width = image.shape[2:]
    rows, columns = layout.grid
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(image.shape[1:], generator=generator).to(image)
    copies = image.repeat(len(cells), 1, 1, 1)
    for copy, cell in zip(copies, cells.tolist(), strict=True):
        y, x = divmod(cell, columns)
        patch = (
            slice(None),
            slice(y * height // rows, (y + 1) * height // rows),
            slice(x * width // columns, (x + 1) * width // columns),
        )
        copy[patch] += noise[patch]
    return copies


def _known_orders(model: nn.Module, layout: Layout) -> Iterator[Tensor]:
    """Orders that a network can undo by itself: Hiera's, which differ from stage to stage."""
    reroll: Any = getattr(model, "reroll", None)
    if reroll is None:
        return
    count = layout.grid[0] * layout.grid[1]
    tokens = torch.arange(count, dtype=torch.float32)[None, :, None]
    for block in range(len(getattr(model, "blocks", ()))):
        try:
            places = reroll(tokens, block)
        except (RuntimeError, KeyError, ValueError):  # a block with another number of tokens
            continue
        if places.shape == (1, *layout.grid, 1):
            yield places.flatten().long()
