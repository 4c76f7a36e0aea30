"""A slice with the map and the mask of every method (Figures 7, 9 and 10 of C-CAM)."""

from __future__ import annotations

from textwrap import wrap
from typing import Final

from matplotlib.figure import Figure

from camzoo.core.text import plain
from camzoo.report.figures.style import INCHES, new_figure
from camzoo.report.gallery import LEGEND, Panel, draw_map, draw_slice

#: Tiles beside each other: a mask can still be seen in each.
_COLUMNS: Final = 4
#: Points of the letters, inches of a line of them, and of what stands over and under all tiles.
_POINTS: Final = 6.0
_LINE: Final = 0.105
_AROUND: Final = 0.4
#: Characters of a name on one line, and of a whole one.
_WIDE: Final = 15
_MOST_NAME: Final = 30
_MOST_TITLE: Final = 70


def draw_grid(panel: Panel) -> Figure:
    """Draw the slice, and then each method's map over it with the outline of its mask."""
    heads = {method: _head(method, panel.scores[method]) for method in panel.maps}
    rows = -(-(1 + len(heads)) // _COLUMNS)
    height, width = panel.image.shape
    tile = INCHES / _COLUMNS * height * panel.aspect / width
    lines = 1 + max((head.count("\n") for head in heads.values()), default=0)
    figure = new_figure((tile + _LINE * lines) * rows + _AROUND)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    draw_slice(axes[0], panel)
    for axis, (method, head) in zip(axes[1:], heads.items(), strict=False):
        draw_slice(axis, panel)
        draw_map(axis, panel, method)
        axis.set_title(head, fontsize=_POINTS, pad=2)
    figure.suptitle(plain(panel.title, _MOST_TITLE), fontsize=_POINTS + 0.5)
    figure.supxlabel(LEGEND, fontsize=_POINTS)
    return figure


def _head(name: str, score: str) -> str:
    return "\n".join([*wrap(plain(name, _MOST_NAME), _WIDE), *score.split(", ")])
