"""Pictures of maps and masks beside the reference, with the numbers that the tables are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from camzoo.cams.map_files import MapFiles
from camzoo.cams.picture import COLOURS
from camzoo.core.text import plain
from camzoo.data.slices import Prepared
from camzoo.evaluate.rows import line_names
from camzoo.harness.run import BenchResult
from camzoo.metrics.sweep import apply_threshold
from camzoo.report.colours import CASING, MASK, REFERENCE
from camzoo.report.shown_cases import headline_of_first_cell, mean_scores, standing

#: What outlines are, below pictures.
LEGEND: Final = "solid white: reference    dashed pink: mask at the validated threshold"
#: Dashes of masks, in widths of the line: on, off.
_DASHES: Final = (0, (4, 2.5))
#: Characters of a title that fit over a column.
_LINE: Final = 40
#: And of a whole one: four lines.
_MOST_TITLE: Final = 160


@dataclass(frozen=True)
class Panel:
    """One slice of one case, one organ.

    Attributes:
        title: What is shown.
        image: Slice [rows, columns].
        reference: Mask [rows, columns].
        maps: Normalised map [rows, columns] by method.
        masks: Mask [rows, columns] at the method's threshold, where no other organ wins.
        scores: Text under a map, by method.
        aspect: Height of a voxel over its width.
    """

    title: str
    image: NDArray[Any]
    reference: NDArray[np.bool_]
    maps: Mapping[str, NDArray[Any]]
    masks: Mapping[str, NDArray[np.bool_]]
    scores: Mapping[str, str]
    aspect: float


#: Methods that fit beside each other.
_MOST: Final = 10


def write_gallery(result: BenchResult, path: Path) -> None:
    """Draw the worst, the median and the best test case of a run as PNG."""
    draw(panels(result), path)


def panels(result: BenchResult) -> list[Panel]:
    """Pick the best, the median and the worst test case of the headline protocol."""
    headline = headline_of_first_cell(result.rows)
    maps = {name: MapFiles.open(place) for name, place in result.maps.items()}
    shown = standing(mean_scores(headline))
    return [
        case_panel(result.prepared, maps, headline, case, name, most=_MOST)
        for case, name in shown.items()
    ]


def case_panel(
    prepared: Prepared,
    maps: Mapping[str, MapFiles],
    rows: pd.DataFrame,
    case: str,
    name: str,
    *,
    most: int | None = None,
) -> Panel:
    """Show the slice in which the largest organ of a case is largest.

    Args:
        prepared: Slices and masks.
        maps: By method, as tables call it.
        rows: Headline rows of the test cases of one fold and seed.
        case: One of them.
        name: What stands before the case in the title.
        most: How many of the methods are shown, if not all.
    """
    info = prepared.cases[case]
    label = prepared.vault.for_evaluation().slices(case)
    organ = max(1, int(np.bincount(label[label > 0], minlength=2).argmax()))
    z = int((label == organ).sum(axis=(1, 2)).argmax())
    organ_name = prepared.index.organs[organ - 1]
    mine = rows[(rows["case"] == case) & (rows["organ"] == organ_name)]
    mine.index = pd.Index(line_names(mine))
    there = [name for name in maps if name in mine.index][:most]
    thresholds = {str(name): float(t) for name, t in mine["threshold"].items()}
    shown = {name: maps[name].slice(info, z) for name in there}
    stored = prepared.tagged([case]).images(slice(z, z + 1)).float()
    _, height, width = info.plane.arrange(info.spacing)
    return Panel(
        title=f"{name}: {case}, slice {z}, {organ_name}",
        image=info.letterbox.from_grid(stored[:, None])[0, 0].numpy(),
        reference=label[z] == organ,
        maps={m: slices[organ - 1].numpy() for m, slices in shown.items()},
        masks={
            m: (apply_threshold(slices, thresholds[m]) == organ).numpy()
            for m, slices in shown.items()
        },
        scores={
            str(m): caption(line["dsc"], line["asd_mm"])
            for m, line in mine.to_dict("index").items()
        },
        aspect=height / width,
    )


def caption(dsc: float, asd_mm: float) -> str:
    """A volume's numbers; where the mask of an organ is empty, there is no distance to it.

    Example:
        >>> caption(0.436, 33.14), caption(0.0, float("nan"))
        ('43.6 %, ASD 33.1 mm', '0.0 %, nothing found')
    """
    found = "nothing found" if np.isnan(asd_mm) else f"ASD {asd_mm:.1f} mm"
    return f"{100 * dsc:.1f} %, {found}"


def draw(shown: Sequence[Panel], path: Path) -> None:
    """Draw panels as rows: the slice with its reference, then each method's map and mask."""
    picture(shown).savefig(path, dpi=110, metadata={"Software": None})


def picture(shown: Sequence[Panel]) -> Figure:
    """Lay out what :func:`draw` writes."""
    methods = list(dict.fromkeys(name for panel in shown for name in panel.maps))
    columns = 1 + len(methods)
    figure = Figure(figsize=(2.9 * columns + 0.8, 3.1 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), columns, squeeze=False)
    for row, panel in zip(axes, shown, strict=True):
        draw_slice(row[0], panel)
        _title(row[0], panel.title)
        for axis, method in zip(row[1:], methods, strict=True):
            draw_slice(axis, panel)
            if method in panel.maps:
                draw_map(axis, panel, method)
                _title(axis, method, panel.scores[method])
    scale = figure.axes[1].images[-1]
    figure.colorbar(scale, ax=axes, label="normalised saliency", shrink=0.6, aspect=30)
    figure.supxlabel(f"{LEGEND}    numbers: of the whole volume", fontsize=8)
    return figure


def draw_slice(axis: Axes, panel: Panel) -> None:
    """Draw the slice with the outline of the reference."""
    axis.imshow(panel.image, cmap="gray", aspect=panel.aspect)
    axis.set_axis_off()
    _outline(axis, panel.reference, REFERENCE)


def draw_map(axis: Axes, panel: Panel, method: str) -> None:
    """Lay the map of a method over the slice, with the outline of its mask."""
    values = panel.maps[method]
    axis.imshow(values, cmap=COLOURS, vmin=0, vmax=1, alpha=0.55, aspect=panel.aspect)
    _outline(axis, panel.masks[method], MASK, _DASHES)


def _title(axis: Axes, name: str, score: str = "") -> None:
    """Names of chains are long: they take as many lines as the column is narrow."""
    text = "\n".join([*wrap(plain(name, _MOST_TITLE), _LINE), score]).strip()
    axis.set_title(text, fontsize=8, parse_math=False)


def _outline(axis: Axes, mask: NDArray[np.bool_], colour: str, dashes: Any = "solid") -> None:
    if mask.any() and not mask.all():
        axis.contour(mask, levels=[0.5], colors=CASING, linewidths=2.2)
        axis.contour(mask, levels=[0.5], colors=colour, linewidths=1.2, linestyles=[dashes])
