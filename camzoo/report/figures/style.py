"""How all figures look, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from camzoo.core.protocol import Protocol
from camzoo.core.text import plain
from camzoo.report.colours import LINES

#: Width of a column of most journals and conferences.
INCHES: Final = 3.5
COLOURS: Final = LINES["light"]
#: Lines of one colour differ in their dashes.
DASHES: Final = ("-", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
#: What is drawn where a protocol cut, and how large: best thresholds in hindsight are small and
#: filled, those of other patients open, so that both are seen where they are one.
_MARKS: Final = {
    Protocol.ORACLE_CASE: ("X", 3.0), Protocol.ORACLE: ("*", 3.5), Protocol.VALIDATED: ("o", 7.0),
    Protocol.CROSS_VALIDATED: ("s", 7.0), Protocol.FIXED: ("D", 3.5), Protocol.OTSU: ("^", 4.0),
    Protocol.MASK_FREE: ("P", 7.0),
}  # fmt: skip
_OPEN: Final = (Protocol.VALIDATED, Protocol.CROSS_VALIDATED, Protocol.MASK_FREE)
#: Of what is beside the matter.
GREY: Final = "#6b7280"
_SETTINGS: Final[dict[Any, Any]] = {
    "font.size": 7, "axes.labelsize": 7, "axes.titlesize": 7, "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5, "legend.fontsize": 6.5, "axes.linewidth": 0.6, "lines.linewidth": 1.1,
    "axes.spines.top": False, "axes.spines.right": False, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "text.parse_math": False, "text.usetex": False, "savefig.dpi": 300,
    "svg.hashsalt": "camzoo",  # names of parts, which are drawn by lot otherwise
    "pdf.fonttype": 42,  # printers of journals refuse type 3
}  # fmt: skip
#: Files say neither when nor with what they were made, so that equal pictures are equal files.
_METADATA: Final[dict[str, dict[str, None]]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}
#: Characters of a name on one line, and of a whole one.
_LINE: Final = 26
_MOST_NAME: Final = 52


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and save in the body, whatever the user's matplotlib is set to."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(height: float) -> Figure:
    """A figure one column wide and ``height`` inches high, apart from any window."""
    figure = Figure(figsize=(INCHES, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG, PDF and SVG."""
    for ending, metadata in _METADATA.items():
        figure.savefig(folder / f"{name}.{ending}", metadata=metadata)


def mark(protocol: str, colour: str) -> dict[str, Any]:
    """How matplotlib draws the place where a protocol cut."""
    shape, size = _MARKS[Protocol(protocol)]
    inside = "white" if protocol in _OPEN else colour
    return {
        "marker": shape, "markersize": size, "color": colour, "markerfacecolor": inside,
        "markeredgewidth": 0.9 if protocol in _OPEN else 0.0,
        "zorder": 3 if protocol in _OPEN else 4,
    }  # fmt: skip


def label(name: str) -> str:
    """A method as figures call it: on two lines at most, shortened where it is longer."""
    return "\n".join(wrap(plain(name, _MOST_NAME), _LINE))
