"""A heart as a short-axis cine (balanced steady-state free precession) shows it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from camzoo.data.phantom.anatomy import THROUGH, Anatomy
from camzoo.data.phantom.canvas import Canvas, Tissue
from camzoo.data.phantom.scanner import Texture
from camzoo.data.phantom.shapes import Both, Profile, Tube, ball

_TISSUES: Final = {
    "fat": Tissue(0.74, 0.08, -0.35),
    # Water and fat cancel where they share a voxel: this sequence draws dark outlines.
    "outline": Tissue(0.08, 0.05),
    "muscle": Tissue(0.24, 0.14, 1.2),
    "rib": Tissue(0.55, 0.10),
    "lung": Tissue(0.05, 0.30, 2.5),
    "blood": Tissue(0.92, 0.07),
    "myocardium": Tissue(0.24, 0.10),
    "papillary muscle": Tissue(0.30, 0.10),
    "liver": Tissue(0.34, 0.09, 0.45),
    "spleen": Tissue(0.46, 0.08),
    "bowel wall": Tissue(0.35, 0.12),
    "fluid": Tissue(0.85, 0.20, -0.40),
    "gas": Tissue(0.03, 0.0),
}
#: Chambers and vessels above the ventricles: x, y, half width and half depth in mm. Left atrium,
#: right atrium, pulmonary trunk, aortic root.
_BASE: Final = ((10, 10, 31, 26), (-46, 8, 24, 28), (-4, -34, 16, 14), (-20, -12, 17, 17))


class Cardiac(Anatomy):
    """Left ventricle with its ring of muscle, beside the right one, on the diaphragm.

    The origin is the middle of the left ventricle's axis, which is z: apex below, base above. The
    label is the cavity with its papillary muscles. End systole (ES) is the same patient as end
    diastole (ED) with smaller cavities and a thicker wall.
    """

    organs = ("left ventricle",)
    phases = ("ED", "ES")
    negatives = 0.05
    field_of_view = (310.0, 260.0)
    centre = (26.0, -2.0)
    bend = (3.0, 55.0)
    texture = Texture(
        grain=(8.0, 2.4, 2.4), mottle=(12.0, 7.0, 7.0), strand=(20.0, 13.0, 13.0), width=0.14
    )
    tissues = _TISSUES

    def __init__(self, rng: np.random.Generator, phase: str, cooccurrence: float) -> None:
        super().__init__(rng, phase, cooccurrence)
        self.slice_mm = rng.uniform(8.0, 10.0)
        length = self.around(86.0, 0.07)
        self.extent = (-length / 2, length / 2)
        self.turn = rng.uniform(-25, 25)
        cavity, wall = self.around(25.0, 0.11), self.around(10.5, 0.14)
        shortening, right = rng.uniform(0.25, 0.42), rng.uniform(0.74, 0.88)
        muscle_area = (cavity + wall) ** 2 - cavity**2
        self.right = 1.0
        if self.phase == "ES":
            # The muscle keeps its volume and shortens by about a tenth along the axis.
            cavity, muscle_area, self.right = cavity * (1 - shortening), 1.1 * muscle_area, right
        self.cavity, self.outer = cavity, math.sqrt(cavity**2 + muscle_area)

    def paint(self, canvas: Canvas) -> None:
        """Paint the chest; see :meth:`Anatomy.paint`."""
        self._chest(canvas)
        self._abdomen(canvas)
        self._around_heart(canvas)
        self._right_ventricle(canvas)
        self._left_ventricle(canvas)

    def _chest(self, canvas: Canvas) -> None:
        """Skin, fat, muscle with ribs, lungs with vessels."""
        fat, muscle = self.around(17.0, 0.3), self.around(12.0, 0.2)
        half = self.around(138.0, 0.05), self.around(152.0, 0.04)
        body, cage = (
            Tube(THROUGH, 16, 66, half[0] - less, half[1] - less, angle=self.turn, square=0.3)
            for less in (0.0, fat)
        )
        canvas.paint(body, "outline", grow=1, inner=[("fat", 0)])
        canvas.paint(cage, "outline", grow=1.5, inner=[("muscle", 0)])
        self._ribs(canvas, half[0] - fat - 0.55 * muscle, half[1] - fat - 0.55 * muscle)
        canvas.paint(cage, "fat", grow=-muscle, opacity=0.6)
        canvas.paint(cage, "lung", grow=-muscle - self.around(2.0, 0.4))
        for _ in range(34):
            vessel = ball(
                self.rng.uniform(-60, 130), self.rng.uniform(-70, 40), self.rng.uniform(-60, 80),
                self.around(1.8, 0.3), tall=6,
            )  # fmt: skip
            canvas.paint(Both(vessel, cage), "blood", opacity=0.55)

    def _ribs(self, canvas: Canvas, half_x: float, half_y: float) -> None:
        """Ribs, spaced along an ellipse about the middle of the chest."""
        turn = math.radians(self.turn)
        for place in np.arange(0, 2 * math.pi, 0.21) + 0.1 * self.rng.random():
            u, v = half_x * math.cos(place), half_y * math.sin(place)
            rib = Tube(
                THROUGH, 16 + u * math.cos(turn) - v * math.sin(turn),
                66 + u * math.sin(turn) + v * math.cos(turn), self.around(8.0, 0.2),
                self.around(3.6, 0.2), angle=math.degrees(place + turn) + 90,
                uneven=self.uneven(0.06),
            )  # fmt: skip
            canvas.paint(rib, "rib", opacity=self.rng.uniform(0.5, 1.0))

    def _abdomen(self, canvas: Canvas) -> None:
        """What lies under the diaphragm: fat, gut, stomach and spleen, and the liver over them."""
        dome = self.around(42.0)
        under = Tube(
            THROUGH, 14, [(-45, dome + 84), (45, dome + 96)], 118, 88, angle=0.5 * self.turn,
            square=0.4, uneven=self.uneven(0.04), twist=0.006,
        )  # fmt: skip
        canvas.paint(under, "muscle", grow=1, inner=[("fat", -1.5)])
        self._gut(canvas, under, dome)
        edge = self.around(22.0, 0.5)
        liver = Tube(
            THROUGH, edge - 100, dome + 82, 104, [(-45, 84), (45, 88)], angle=0.5 * self.turn,
            square=0.5, uneven=self.uneven(0.05), twist=0.01,
        )  # fmt: skip
        canvas.paint(Both(liver, under), "outline", grow=-0.5, inner=[("liver", -2)])

    def _gut(self, canvas: Canvas, under: Tube, dome: float) -> None:
        rng = self.rng
        for _ in range(14):
            loop = ball(
                rng.uniform(15, 100), dome + rng.uniform(72, 130), rng.uniform(-60, 60),
                self.around(16.0, 0.2), flat=self.around(0.8), tall=2.5,
            )  # fmt: skip
            canvas.paint(loop, "bowel wall", grow=2)
            canvas.paint(loop, "fluid", opacity=rng.uniform(0.1, 0.9))
        spleen = Tube(THROUGH, 98, dome + 58, 22, 38, angle=-15, uneven=self.uneven(0.1))
        canvas.paint(Both(spleen, under), "outline", grow=-0.5, inner=[("spleen", -2)])
        stomach = Tube(
            THROUGH, self.around(54.0), dome + self.around(38.0), self.around(34.0, 0.12),
            self.around(27.0, 0.15), angle=rng.uniform(-30, 30), uneven=self.uneven(0.10),
            twist=0.03,
        )  # fmt: skip
        content = "gas" if rng.random() < 0.4 else "fluid"
        layers = [("bowel wall", -2), (content, -6)]
        canvas.paint(Both(stomach, under), "outline", grow=-0.5, inner=layers)

    def _around_heart(self, canvas: Canvas) -> None:
        """Descending aorta, the fat of the pericardium, and what lies above the ventricles."""
        aorta = Tube(
            THROUGH, 64, 24, self.around(11.0), self.around(11.0), uneven=self.uneven(0.03)
        )  # fmt: skip
        canvas.paint(aorta, "muscle", grow=2, inner=[("blood", 0)])
        top = self.extent[1]
        pad = Tube(
            (-52, 500), [(-60, -18), (top, -14)], [(-60, 20), (top, 6)],
            [(-60, 24), (0, 54), (top, 58)], [(-60, 14), (0, 38), (top, 42)], caps=(40, 0),
            angle=-14, uneven=self.uneven(0.12), twist=0.02,
        )  # fmt: skip
        canvas.paint(pad, "fat")
        for x, y, rx, ry in _BASE:
            chamber = Tube(
                (top + 2, 500), self.around(x), y, self.around(rx), ry, uneven=self.uneven(0.07)
            )  # fmt: skip
            canvas.paint(chamber, "myocardium", grow=2.5, inner=[("blood", 0)])

    def _right_ventricle(self, canvas: Canvas) -> None:
        """The crescent: an ellipse of which the left ventricle will cover one side."""
        low, high = self.extent
        size = self.around(1.0, 0.08) * self.right
        ventricle = Tube(
            (low + 12, high + 2), [(low, -16), (0, -29), (high, -34)], [(low, 10), (high, 0)],
            [(low, 17 * size), (0, 30 * size), (high, 36 * size)],
            [(low, 18 * size), (0, 38 * size), (high, 42 * size)],
            caps=(22, 0), angle=self.rng.uniform(-22, 8), uneven=self.uneven(0.06, form=(0j, 0.05)),
        )  # fmt: skip
        canvas.paint(ventricle, "myocardium", grow=3.2, inner=[("blood", 0)])
        for _ in range(12):
            trabecula = ball(
                self.rng.uniform(-66, -24), self.rng.uniform(-26, 26), self.rng.uniform(low, high),
                self.around(2.6, 0.3), tall=4,
            )  # fmt: skip
            canvas.paint(Both(trabecula, ventricle), "papillary muscle", opacity=0.8)

    def _left_ventricle(self, canvas: Canvas) -> None:
        low, high = self.extent
        outer, inner = self._taper(self.outer), self._taper(self.cavity)
        apex = low - (self.outer - self.cavity)
        muscle = Tube(
            (apex, high + 2), 0, 0, outer, outer, caps=(16, 0), uneven=self.uneven(0.035)
        )  # fmt: skip
        cavity = Tube((low, high), 0, 0, inner, inner, caps=(14, 0), uneven=self.uneven(0.05))
        canvas.paint(muscle, "outline", grow=1.2, opacity=0.5)
        canvas.paint(muscle, "myocardium")
        canvas.paint(cavity, "blood", organ=1)
        for place in (0.9, 2.9):
            turn = place + self.rng.normal(0, 0.2)
            reach = 0.62 * self.cavity
            papilla = Tube(
                (0.6 * low, 0.45 * high), reach * math.cos(turn), reach * math.sin(turn),
                self.around(5.6, 0.2), self.around(4.2, 0.2), caps=(12, 12),
                angle=math.degrees(turn),
            )  # fmt: skip
            canvas.paint(papilla, "papillary muscle", inside=1, opacity=0.9)

    def _taper(self, radius: float) -> Profile:
        """Radius along the axis: full in the upper quarter, 0.4 of it at the apex."""
        low, high = self.extent
        along = np.linspace(0, 1, 9)
        slope = 1 - np.minimum(along / 0.75, 1)
        radii = radius * np.sqrt(1 - 0.84 * slope**2)
        return list(zip(low + along * (high - low), radii, strict=True))
