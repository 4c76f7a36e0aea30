"""Colours of pages and figures differ and stand out for those who lack a kind of cones, too."""

import itertools
import re
from importlib.resources import files

import numpy as np
import pytest
from matplotlib import colormaps

from camzoo.cams.picture import COLOURS
from camzoo.report.colours import CASING, LINES, MASK, REFERENCE
from tests.report.vision import VISIONS, apart, contrast, lab, rgb, seen

PAGE = files("camzoo.report.html").joinpath("page")
SCRIPT, STYLE = (PAGE.joinpath(n).read_text("utf-8") for n in ("drawing.js", "report.css"))
#: What the page draws on.
GROUND = dict(zip(LINES, re.findall(r"--ground: (#\w{6})", STYLE), strict=True))
#: The page's colours of a map, from no evidence to the most.
ANCHORS = np.array(
    [
        [int(part) for part in colour.split(", ")]
        for colour in re.findall(r"\[(\d+, \d+, \d+)\]", re.search(r"ANCHORS = (.+);", SCRIPT)[1])
    ]
)
MAPS = {"page": ANCHORS / 255, "pictures": colormaps[COLOURS](np.linspace(0, 1, 9))[:, :3]}


def test_colours_are_measured_as_the_standards_have_them():
    white, black, red = rgb("#ffffff"), rgb("rgb(0, 0, 0)"), rgb("#ff0000")
    assert contrast(white, black) == pytest.approx(21)
    assert contrast(rgb("#777777"), white) == pytest.approx(4.48, abs=0.01)
    # Lindbloom's values of sRGB's red under D65.
    assert lab(red) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    for vision in VISIONS:  # who lacks a kind of cones sees grey as grey
        assert seen(rgb("#777777"), vision) == pytest.approx(0.184475, abs=1e-6)
    green = rgb("#00ff00")
    assert apart(red, green) > 2 * apart(red, green, "deuteranopia")
    assert contrast(red, black) > 1.5 * contrast(red, black, "protanopia")  # red is dark to them


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("scheme", LINES)
def test_lines_of_plots_differ_and_stand_out_from_their_ground(scheme, vision):
    lines = [rgb(colour) for colour in LINES[scheme]]
    for one, other in itertools.combinations(lines, 2):
        assert apart(one, other, vision) > 15, (one, other)
    for line in lines:
        assert contrast(line, rgb(GROUND[scheme]), vision) >= 3, line


@pytest.mark.parametrize("vision", VISIONS)
def test_outlines_stand_out_from_what_is_below_them_and_from_each_other(vision):
    reference, mask, casing = map(rgb, (REFERENCE, MASK, CASING))
    assert contrast(reference, casing, vision) >= 4.5
    assert contrast(mask, casing, vision) >= 4.5
    assert apart(reference, mask, vision) > 20


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", MAPS)
def test_more_evidence_is_lighter(name, vision):
    lightness = lab(MAPS[name], vision)[:, 0]
    assert np.diff(lightness).min() > 3
    assert np.ptp(lightness) > 60


def test_the_map_of_the_page_is_cividis_and_lines_have_the_colours_that_are_named():
    known = 255 * colormaps["cividis"](np.linspace(0, 1, len(ANCHORS)))[:, :3]
    assert np.abs(ANCHORS - known).max() <= 1
    plots = PAGE.joinpath("plots.js").read_text("utf-8")
    assert {int(re.search(r"COLOURS = (\d+);", plots)[1])} == {len(c) for c in LINES.values()}
