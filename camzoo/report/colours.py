"""Colours of pages and figures, which those who lack a kind of cones tell apart, too.

Lines differ in their dashes besides, and outlines stand on a dark casing, so that they are seen on
every colour of a map and on every grey of a scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Outline of the reference, a solid line.
REFERENCE: Final = "#ffffff"
#: Outline of a mask, a dashed line.
MASK: Final = "#ff5fd2"
#: What is drawn below outlines.
CASING: Final = "#000000"
#: Lines of plots, on the ground of each scheme of the page; figures for papers are light. Those on
#: dark are Okabe and Ito's, of which half are too pale for white paper.
LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "light": ("#0072b2", "#d55e00", "#009e73", "#a040e8", "#8c3200", "#32466e"),
    "dark": ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
}
