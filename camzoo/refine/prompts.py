"""Points and boxes for a promptable network, chosen from maps by rules that see no mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from camzoo.core.errors import ConfigError

#: What a point says: the organ is here, it is not, or that there is no point at all.
INSIDE: Final = 1
OUTSIDE: Final = 0
NO_POINT: Final = -10
PromptKind = Literal["points", "box", "both"]
#: So many points per organ are surely no slip of the keyboard.
_MOST_POINTS: Final = 32


@dataclass(frozen=True)
class PromptSettings:
    """Rules by which a map becomes a prompt.

    Attributes:
        kind: Points, the box around what is above ``level``, or both.
        points: Most points inside the organ. The first is the map's maximum.
        apart: Least distance between those, as a share of the longer side of the slice.
        level: Share of the map's maximum. Further points lie at or above it, and the box is drawn
            around all that does.
        outside: Whether points outside the organ are set, too: at the map's minimum, and at the
            maxima of other organs of the slice.
    """

    kind: PromptKind = "both"
    points: int = 1
    apart: float = 0.1
    level: float = 0.5
    outside: bool = True

    def __post_init__(self) -> None:
        if self.kind not in get_args(PromptKind):
            raise ConfigError(f"the kind of prompts is points, box or both, got {self.kind!r}")
        if not 1 <= self.points <= _MOST_POINTS:
            raise ConfigError(f"points per organ are 1 to {_MOST_POINTS}, got {self.points}")
        if not 0 <= self.apart <= 1:
            raise ConfigError(
                f"points lie apart by a share of the slice's side, 0 to 1, got {self.apart}"
            )
        if not 0 < self.level <= 1:
            raise ConfigError(
                f"the level of prompts is a share of the map's maximum, 0 < level <= 1, got "
                f"{self.level}"
            )


@dataclass(frozen=True)
class Prompts:
    """What a promptable network is asked: one prompt per slice and class, B and C of them.

    Places are shares of width and height, (x, y): the middle of the first pixel of four is 0.125.
    So they fit any grid that the slice is brought to, also one of another shape.

    Attributes:
        points: float32 [B, C, N, 2]; None for boxes alone.
        labels: int64 [B, C, N]: :data:`INSIDE`, :data:`OUTSIDE` or :data:`NO_POINT`.
        boxes: float32 [B, C, 4]: x and y of the first corner, then of the last; None for points
            alone.
    """

    points: Tensor | None
    labels: Tensor | None
    boxes: Tensor | None


def prompts_of(maps: Tensor, settings: PromptSettings) -> Prompts:
    """Turn maps into prompts. Those of empty maps mean nothing.

    Args:
        maps: Non-negative, [B, C, h, w].
        settings: The rules.
    """
    points = labels = boxes = None
    if settings.kind != "box":
        places, labels = _points(maps, settings)
        points = _shares(places, maps)
    if settings.kind != "points":
        corners = boxes_around(above(maps, settings.level))
        boxes = torch.cat([_shares(corner, maps) for corner in corners], dim=-1)
    return Prompts(points, labels, boxes)


def above(maps: Tensor, level: float) -> Tensor:
    """Where maps reach a share of their own maximum, bool [B, C, h, w]; nowhere in empty ones."""
    return (maps >= level * maps.amax(dim=(2, 3), keepdim=True)) & (maps > 0)


def peaks_of(maps: Tensor, settings: PromptSettings) -> tuple[Tensor, Tensor]:
    """Find the highest places of maps that lie apart, the highest first.

    Each is the maximum of what is left when a disc around every one before it is taken away: not
    each has to be a summit of its own. Of equals the first in the order of reading counts.

    Args:
        maps: [B, C, h, w].
        settings: How many, how far apart, and above which level.

    Returns:
        Flat places int64 [B, C, points], and whether each is one, bool [B, C, points].
    """
    height, width = maps.shape[2:]
    reach = settings.apart * max(height, width)
    left = torch.where(above(maps, settings.level), maps, 0).flatten(2)
    rows, columns = _grid(height, width, maps.device)
    found = []
    for _ in range(settings.points):
        value, place = left.max(dim=2)
        found.append((place, value > 0))
        row, column = place // width, place % width
        apart = (rows - row[..., None]).square() + (columns - column[..., None]).square()
        left = torch.where((apart < reach**2) | (apart == 0), 0, left)
    places, there = zip(*found, strict=True)
    return torch.stack(places, dim=2), torch.stack(there, dim=2)


def boxes_around(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Find the first and last pixels of masks along both axes.

    Args:
        inside: bool [B, C, h, w].

    Returns:
        Flat places of the upper left and the lower right corner, int64 [B, C]; the whole slice
        where a mask is empty.
    """
    height, width = inside.shape[2:]
    rows, columns = inside.any(dim=3).int(), inside.any(dim=2).int()
    first = rows.argmax(dim=2) * width + columns.argmax(dim=2)
    bottom = height - 1 - rows.flip(2).argmax(dim=2)
    right = width - 1 - columns.flip(2).argmax(dim=2)
    return first, bottom * width + right


def _points(maps: Tensor, settings: PromptSettings) -> tuple[Tensor, Tensor]:
    """Flat places [B, C, N] of all points, and their labels."""
    places, there = peaks_of(maps, settings)
    labels = torch.where(there, INSIDE, NO_POINT)
    if not settings.outside:
        return places, labels
    others, not_ours = _maxima_of_others(maps)
    lowest = maps.flatten(2).argmin(dim=2, keepdim=True)
    is_low = ~above(maps, settings.level).flatten(2).gather(2, lowest)
    outside = torch.where(torch.cat([not_ours, is_low], dim=2), OUTSIDE, NO_POINT)
    return torch.cat([places, others, lowest], dim=2), torch.cat([labels, outside], dim=2)


def _maxima_of_others(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Flat places [B, C, C - 1] of the maxima of other classes, and which of them are theirs.

    A place is another's only where its map is larger: two organs that always come together may
    have one map, and a point cannot be inside and outside at once.
    """
    classes, flat = maps.shape[1], maps.flatten(2)
    index = torch.arange(classes, device=maps.device)
    rest = index.expand(classes, -1)[index[:, None] != index].view(classes, classes - 1)
    peak, place = flat.max(dim=2)
    places, theirs = place[:, rest], peak[:, rest]
    return places, theirs > flat.gather(2, places)


def _shares(places: Tensor, maps: Tensor) -> Tensor:
    """Middles of pixels at flat places [...], as shares of width and height, [..., 2]."""
    height, width = maps.shape[2:]
    x, y = (places % width + 0.5) / width, (places // width + 0.5) / height
    return torch.stack([x, y], dim=-1)


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column of every pixel, in the order of reading."""
    flat = torch.arange(height * width, device=device)
    return flat // width, flat % width
