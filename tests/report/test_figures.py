"""Figures show what rows and maps say, a column wide, and are files that come out again."""

import re
import warnings

import numpy as np
import pytest
from matplotlib.image import imread

from camzoo.core.text import plain
from camzoo.evaluate.rows import make_rows
from camzoo.metrics.ranked_rows import rank_intervals
from camzoo.report.figures.boxes import draw_boxes
from camzoo.report.figures.curves import draw_curves
from camzoo.report.figures.grids import draw_grid
from camzoo.report.figures.ranks import draw_ranks
from camzoo.report.figures.style import INCHES, drawing, label, save
from camzoo.report.folder import Export, write_report
from tests.report.hostile import FRAMED
from tests.report.test_gallery import outlines, panel
from tests.report.test_latex import many

ENDINGS = ("pdf", "png", "svg")


def rows_of(found, **columns):
    return make_rows(row | columns for row in found if row["subset"] == "test")


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("figures") / "r"
    page = write_report([finished.folder], out, exports=[Export.FIGURES], cases=0)
    return page.parent / "figures" / finished.folder.name


def test_every_figure_is_there_in_every_form_a_column_wide(folder):
    names = {"thresholds", "maps-dsc", "maps-asd_mm", "maps-mad_mm", "maps-ranks"}
    assert {path.name for path in folder.iterdir()} == {f"{n}.{e}" for n in names for e in ENDINGS}
    for name in names:
        assert imread(folder / f"{name}.png").shape[1] == round(300 * INCHES)
        (width,) = re.findall(rb"MediaBox \[ ?0 0 (\d+)", (folder / f"{name}.pdf").read_bytes())
        assert int(width) == 72 * INCHES
        assert f'width="{72 * INCHES:g}pt"' in (folder / f"{name}.svg").read_text("utf-8")


def test_figures_are_the_same_byte_for_byte_and_know_no_time(folder, finished, tmp_path):
    page = write_report([finished.folder], tmp_path / "r", exports=[Export.FIGURES], cases=0)
    for path in folder.iterdir():
        assert (
            path.read_bytes()
            == (page.parent / "figures" / finished.folder.name / path.name).read_bytes()
        ), path.name
        assert not re.search(rb"CreationDate|<dc:date>|tIME", path.read_bytes())


def test_curves_and_marks_are_drawn_where_they_are():
    line = {
        "method": "cam", "bound": False, "thresholds": [0.1, 0.5, 0.9], "dsc": [20.0, 60.0, 40.0],
        "marks": [{"protocol": "validated", "threshold": 0.5, "dsc": 60.0}],
    }  # fmt: skip
    with drawing():
        figure = draw_curves([line, line | {"method": "c-cam[cc]", "bound": True}])
    (axis,) = figure.axes
    curve, mark = axis.lines[:2]
    assert curve.get_xydata().tolist() == [[0.1, 20.0], [0.5, 60.0], [0.9, 40.0]]
    assert mark.get_xydata().tolist() == [[0.5, 60.0]]
    assert curve.get_color() != axis.lines[2].get_color()
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["cam", "c-cam[cc] (saw masks)", "validated"]


def test_boxes_are_of_the_cases_the_best_on_top():
    with drawing():
        figure = draw_boxes(rows_of(many()), "dsc")
        distances = draw_boxes(rows_of(many()), "asd_mm")
    (axis,) = figure.axes
    names = dict(
        zip(axis.get_yticks(), [t.get_text() for t in axis.get_yticklabels()], strict=True)
    )
    assert names == {2: "good", 1: "poor"}
    shares = 100 * np.linspace(0.3, 0.6, 12)
    medians = [line.get_xdata()[0] for line in axis.lines if line.get_linewidth() == 1.4]
    assert medians == pytest.approx([np.median(shares) + 20, np.median(shares)], abs=0.5)
    points = [line for line in axis.lines if line.get_marker() == "."]
    # Counts are whole voxels.
    assert np.sort(points[1].get_xdata()) == pytest.approx(shares, abs=0.5)
    assert axis.get_xlabel() == "DSC (%)"
    assert [t.get_text() for t in distances.axes[0].get_yticklabels()] == ["good", "poor"]


def test_cases_without_a_distance_are_counted_behind_the_name():
    rows = rows_of(many())
    lost = (rows["method"] == "poor") & (rows["case"] == "test3")
    rows.loc[lost, ["tp", "n_pred"]] = 0
    rows.loc[lost, ["dsc", "asd_mm", "status"]] = [0.0, np.nan, "empty-pred"]
    with drawing():
        names = [t.get_text() for t in draw_boxes(rows, "asd_mm").axes[0].get_yticklabels()]
    assert names == ["good", "poor (1 failed)"]


def test_ranks_and_chances_are_those_of_the_tables():
    found = many(better=0.0)
    wobble = np.random.default_rng(0).normal(0, 0.05, len(found))
    rows = rows_of(
        row | {"dsc": row["dsc"] + w, "tp": row["tp"]} for row, w in zip(found, wobble, strict=True)
    )
    ranks = rank_intervals(rows.drop(columns=["organ", "region"]), "dsc")
    ranks = ranks.set_index("method").sort_values("rank")
    with drawing():
        axis, podium = draw_ranks(rows, "dsc").axes
    assert [t.get_text() for t in axis.get_yticklabels()] == list(ranks.index)
    (intervals,) = axis.collections
    ends = [(low[0], high[0]) for low, high in intervals.get_segments()]
    assert ends == list(zip(ranks["rank_low"], ranks["rank_high"], strict=True))
    bars = {each.get_label(): [bar.get_width() for bar in each] for each in podium.containers}
    assert bars["first"] == pytest.approx(list(100 * ranks["p_first"]))
    assert bars["three"] == pytest.approx(list(100 * ranks["p_first_three"]))


def test_grids_show_the_slice_and_every_map(tmp_path):
    with drawing():
        figure = draw_grid(panel("worst: a, slice 3, heart"))
        save(figure, tmp_path, "grid")
    for axis, lines in zip(figure.axes, (2, 4, 2, 0), strict=True):
        assert len(outlines(axis)) == lines  # of the reference, and of the mask that there is
    pixels = imread(tmp_path / "grid.png")[..., :3]
    red, _, blue = np.moveaxis(pixels, -1, 0)
    tile = pixels.shape[1] // 4
    glow = (red - blue) > 0.2
    assert glow[:, tile : 2 * tile].sum() > 200
    assert glow[:, 2 * tile : 3 * tile].sum() < 20  # the control has no evidence


@pytest.mark.parametrize("text", FRAMED.values(), ids=FRAMED)
def test_figures_take_any_name_and_show_it_as_text(text):
    rows = rows_of(many(), organ=text)
    rows["method"] = rows["method"].replace("good", text)
    line = {"method": plain(text), "bound": False, "thresholds": [0.1], "dsc": [1.0], "marks": []}
    with drawing(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        for figure in (draw_boxes(rows, "dsc"), draw_ranks(rows, "dsc"), draw_curves([line])):
            figure.canvas.draw()
            texts = [t.get_text() for t in figure.findobj(lambda part: hasattr(part, "get_text"))]
            assert label(text) in texts
