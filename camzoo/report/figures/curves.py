"""DSC over the threshold, a line for each method (Figure 8 of C-CAM), with what protocols chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from camzoo.core.protocol import Protocol
from camzoo.report.figures.style import COLOURS, DASHES, GREY, label, mark, new_figure

#: Inches of the plot, and of a line of the legend.
_PLOT: Final = 2.3
_ROW: Final = 0.15


def draw_curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw curves with a mark where each protocol cut.

    Args:
        lines: Of one run (:func:`camzoo.report.curve_lines.curve_lines`).
    """
    names = [_name(line) for line in lines]
    there = {cut["protocol"] for line in lines for cut in line["marks"]}
    protocols = [protocol.value for protocol in Protocol if protocol.value in there]
    columns = 1 if any("\n" in name for name in names) else 2
    entries = len(protocols) + sum(1 + name.count("\n") for name in names)
    figure = new_figure(_PLOT + _ROW * -(-entries // columns))
    axis = figure.subplots()
    handles = []
    for number, (line, name) in enumerate(zip(lines, names, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        handles += axis.plot(line["thresholds"], line["dsc"], c=colour, ls=dash, label=name)
        for cut in line["marks"]:
            axis.plot(cut["threshold"], cut["dsc"], **mark(cut["protocol"], colour))
    handles += [Line2D([], [], ls="", label=name, **mark(name, GREY)) for name in protocols]
    axis.set(xlim=(0, 1), ylim=(0, None), xlabel="threshold", ylabel="pooled DSC (%)")
    axis.grid(color="#e5e7eb", linewidth=0.5)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _name(line: Mapping[str, Any]) -> str:
    return label(f"{line['method']} (saw masks)" if line["bound"] else line["method"])
