import itertools

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.image import imread

from camzoo.report.colours import CASING, MASK, REFERENCE
from camzoo.report.gallery import Panel, caption, draw, picture


def panel(title):
    y, x = np.mgrid[:40, :60]
    blob = np.exp(-((y - 20) ** 2 + (x - 15) ** 2) / 60.0)
    return Panel(
        title=title, image=np.zeros((40, 60)), reference=(abs(y - 20) < 6) & (abs(x - 15) < 6),
        maps={"cam": blob, "centre": np.zeros_like(blob)},
        masks={"cam": blob > 0.5, "centre": blob > 1},
        scores={"cam": "DSC 80.0 %", "centre": "0.0 %"}, aspect=1.0,
    )  # fmt: skip


def test_a_picture_shows_slice_reference_and_maps(tmp_path):
    path = tmp_path / "gallery.png"
    draw([panel("best"), panel("worst")], path)
    pixels = imread(path)[..., :3]
    assert pixels.shape[0] > 400
    assert pixels.shape[1] > 600
    red, green, blue = np.moveaxis(pixels, -1, 0)
    pink = (red > 0.9) & (green < 0.5) & (blue > 0.7)
    assert pink[:, 300:600].sum() > 50  # dashes of the mask; the other map has none
    assert pink[:, 600:850].sum() == 0
    # The blob of the first map is brighter than the place mirrored from it.
    first, second = (red - blue)[:, 300:600], (red - blue)[:, 600:850]
    assert (first > 0.2).sum() > 500
    assert (second > 0.2).sum() < 50  # the other map is empty


def test_outlines_are_a_solid_and_a_dashed_line_on_a_dark_one():
    slice_, cam, centre = picture([panel("best")]).axes[:3]
    reference, mask = [(CASING, False), (REFERENCE, False)], [(CASING, False), (MASK, True)]
    assert outlines(slice_) == reference
    assert outlines(cam) == reference + mask
    assert outlines(centre) == reference  # it has no mask


def outlines(axis):
    """Colour of each line that is drawn around something, and whether it is dashed."""
    return [
        (to_hex(line.get_edgecolor()[0]), line.get_linestyle()[0][1] is not None)
        for line in axis.collections
    ]


def test_equal_panels_give_equal_files(tmp_path):
    for name in ("a.png", "b.png"):
        draw([panel("best")], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_titles_of_neighbours_do_not_run_into_each_other():
    long = "c-cam[cc,ac,aff] map=B oracle-prior, attention constant"
    shown = panel("worst: patient083_frame08, slice 0, left ventricle")
    for part in (shown.maps, shown.masks, shown.scores):
        part[long] = part.pop("centre")
        part[f"{long}, prior on another scale"] = part["cam"]
    figure = picture([shown, shown])
    figure.canvas.draw()
    for row in np.reshape(figure.axes[:8], (2, 4)):
        boxes = [axis.title.get_window_extent() for axis in row]
        for left, right in itertools.pairwise(boxes):
            assert left.x1 < right.x0


def test_a_mask_without_a_voxel_has_no_distance():
    """Three equal controls: one organ takes all ties, and the others get nothing."""
    assert caption(0.0, float("nan")) == "0.0 %, nothing found"
    assert caption(0.436, 33.14) == "43.6 %, ASD 33.1 mm"
