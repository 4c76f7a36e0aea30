"""An upper abdomen as an axial fat-suppressed T2 (SPIR) shows it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from camzoo.data.phantom.anatomy import SIDES, THROUGH, Anatomy
from camzoo.data.phantom.canvas import Canvas, Tissue
from camzoo.data.phantom.scanner import Texture
from camzoo.data.phantom.shapes import Both, Either, Tube, Without, ball

_TISSUES: Final = {
    "skin": Tissue(0.30, 0.05),
    "fat": Tissue(0.09, 0.16, 0.5),
    "muscle": Tissue(0.22, 0.15, 0.4),
    "cortical bone": Tissue(0.05, 0.1),
    "bone": Tissue(0.27, 0.14),
    "disc": Tissue(0.45, 0.10),
    "spinal fluid": Tissue(1.25, 0.05),
    "spinal cord": Tissue(0.45, 0.05),
    "lung": Tissue(0.03, 0.4, 2.5),
    "heart": Tissue(0.34, 0.25),
    "fast blood": Tissue(0.05, 0.1),
    "slow blood": Tissue(0.42, 0.15),
    "liver": Tissue(0.36, 0.06, 0.8),
    "bile": Tissue(1.25, 0.03),
    "renal cortex": Tissue(0.82, 0.07),
    "renal medulla": Tissue(1.0, 0.08),
    "renal sinus": Tissue(0.26, 0.15),
    "urine": Tissue(1.2, 0.05),
    "spleen": Tissue(0.74, 0.05, 0.12),
    "bowel wall": Tissue(0.40, 0.15),
    "fluid": Tissue(1.0, 0.18, -0.35),
    "gas": Tissue(0.03, 0.0),
    "chyme": Tissue(0.45, 0.25, 0.5),
    "pancreas": Tissue(0.48, 0.16, -0.3),
}
_CONTENTS: Final = ("fluid", "fluid", "chyme", "chyme", "gas", "bowel wall")
#: Organ -> its extent along z in mm with the organs set apart, in ordinary anatomy, and with all
#: of them in the same slices.
_EXTENTS: Final = {
    "liver": ((62.0, 132.0), (-70.0, 88.0), (-70.0, 50.0)),
    "right kidney": ((-150.0, -80.0), (-98.0, 4.0), (-70.0, 50.0)),
    "left kidney": ((-76.0, -6.0), (-88.0, 16.0), (-70.0, 50.0)),
    "spleen": ((-2.0, 58.0), (-30.0, 68.0), (-70.0, 50.0)),
}


class Abdomen(Anatomy):
    """Liver, kidneys and spleen among stomach, gut, vessels, spine and muscles.

    The origin lies in front of the first lumbar vertebra. The kidneys are mirror images of one
    drawing, up to the variation that any organ has: nothing but the side tells them apart.
    """

    organs = tuple(_EXTENTS)
    sided = True
    negatives = 0.22
    field_of_view = (300.0, 384.0)
    bend = (4.0, 52.0)
    texture = Texture(
        grain=(6.0, 2.8, 2.8), mottle=(10.0, 8.0, 8.0), strand=(22.0, 17.0, 17.0), width=0.13
    )
    tissues = _TISSUES

    def __init__(self, rng: np.random.Generator, phase: str, cooccurrence: float) -> None:
        super().__init__(rng, phase, cooccurrence)
        self.slice_mm = rng.uniform(7.0, 8.0)
        self.span = {organ: self._span(organ) for organ in self.organs}
        lows, highs = zip(*self.span.values(), strict=True)
        self.extent = min(lows), max(highs)
        self.body_half = self.around(162.0, 0.06), self.around(112.0, 0.07)
        wall = self.around(28.0, 0.2)
        self.half = self.body_half[0] - wall, self.body_half[1] - wall
        self.cavity = Tube(THROUGH, 0, -6, *self.half, square=0.35)

    def _span(self, organ: str) -> tuple[float, float]:
        """Extent of an organ along z: between the three layouts as ``cooccurrence`` says."""
        ends = zip(*_EXTENTS[organ], strict=True)
        low, high = (float(np.interp(self.cooccurrence, (0.0, 0.5, 1.0), end)) for end in ends)
        # Patients vary in ordinary anatomy, but not where organs must or must not share slices.
        free = 1 - abs(2 * self.cooccurrence - 1)
        middle = (low + high) / 2 + free * self.rng.normal(0, 5.0)
        half = (high - low) / 2 * (1 + free * (self.around(1.0, 0.06) - 1))
        return middle - half, middle + half

    def paint(self, canvas: Canvas) -> None:
        """Paint the abdomen; see :meth:`Anatomy.paint`."""
        self._body_wall(canvas)
        self._spine(canvas)
        self._chest(canvas)
        self._gut(canvas)
        self._stomach(canvas)
        self._liver(canvas)
        self._spleen(canvas)
        self._kidney(canvas, "right kidney", -1.0)
        self._kidney(canvas, "left kidney", 1.0)
        self._vessels(canvas)

    def _body_wall(self, canvas: Canvas) -> None:
        body = Tube(THROUGH, 0, 0, *self.body_half, square=0.35)
        canvas.paint(body, "skin", inner=[("fat", -2)])
        canvas.paint(self.cavity, "muscle", grow=self.around(11.0, 0.2), inner=[("fat", 0)])
        for side in SIDES:
            erector = Tube(THROUGH, side * 34, 76, 30, 21, square=0.4, uneven=self.uneven(0.05))
            quadratus = Tube((-500, 10), side * 64, 62, 20, 11, caps=(0, 30), angle=-side * 30)
            psoas = Tube(
                (-500, 20), [(-150, side * 46), (0, side * 30)], 38, [(-150, 24), (0, 11)],
                [(-150, 24), (0, 14)], caps=(0, 30), uneven=self.uneven(0.05),
            )  # fmt: skip
            crus = Tube((-20, 90), side * 13, 12, 5, 17, caps=(20, 10), angle=-side * 20)
            for muscle in (erector, quadratus, psoas, crus):
                canvas.paint(muscle, "fat", grow=1.5, inner=[("muscle", 0)])

    def _spine(self, canvas: Canvas) -> None:
        arch = Tube(THROUGH, 0, 66, 22, 12, square=0.5, uneven=self.uneven(0.08))
        process = Tube(THROUGH, 0, 84, 4, 16)
        column = Tube(THROUGH, 0, 34, 23, 19, square=0.2, uneven=self.uneven(0.04))
        for bone in (arch, process, column):
            canvas.paint(bone, "cortical bone", grow=1.5, inner=[("bone", 0)])
        for z in np.arange(-400, 400, 35.0) + self.rng.uniform(0, 35):
            canvas.paint(Both(Tube((z, z + 8), 0, 34, 24, 20), column), "disc", grow=-2)
        canvas.paint(Tube(THROUGH, 0, 59, 9, 7.5), "spinal fluid")
        canvas.paint(Tube((-10, 500), 0, 59, 4.2, 3.6), "spinal cord")

    def _chest(self, canvas: Canvas) -> None:
        """What lies above the diaphragm: lungs around its domes, the heart in front."""
        top = self.extent[1]
        for side in SIDES:
            lung = Tube(
                (top - 75, 500), side * 62, [(top - 75, 62), (top, 8)], [(top - 75, 40), (top, 74)],
                [(top - 75, 14), (top, 78)], caps=(30, 0), uneven=self.uneven(0.05),
            )  # fmt: skip
            canvas.paint(Both(lung, self.cavity), "lung", grow=-3)
        heart = Tube(
            (top - 20, 500), [(top - 20, 20), (top + 60, 10)], -38,
            [(top - 20, 30), (top + 40, 56)], [(top - 20, 20), (top + 40, 44)], caps=(12, 0),
            angle=-25, uneven=self.uneven(0.07),
        )  # fmt: skip
        canvas.paint(heart, "fat", grow=3, inner=[("heart", 0)])
        canvas.paint(heart, "fast blood", grow=-14, opacity=0.7)

    def _gut(self, canvas: Canvas) -> None:
        """Loops fill the front of the cavity wherever no organ is painted over them."""
        for _ in range(110):
            loop, content = self._loop(), self.rng.choice(_CONTENTS)
            canvas.paint(loop, "fat", grow=1.5, inner=[("bowel wall", 0), (content, -2.8)])
        for side, top, content in ((-1, 20, "gas"), (1, 60, "chyme")):
            colon = Tube(
                (-500, top), side * self.around(0.85, 0.04) * self.half[0], 4, 20, 22,
                caps=(0, 20), uneven=self.uneven(0.10), twist=0.09,
            )  # fmt: skip
            canvas.paint(colon, "bowel wall", inner=[(content, -3.5)])

    def _loop(self) -> Tube:
        rng, (wide, deep) = self.rng, self.half
        low, x = rng.uniform(-175, self.extent[1] - 75), wide * rng.uniform(-0.72, 0.72)
        front = 6 - 0.8 * deep * math.sqrt(1 - (x / wide) ** 2)
        return Tube(
            (low, low + rng.uniform(22, 46)), x, rng.uniform(front, 0), self.around(14.0, 0.3),
            self.around(9.5, 0.25), caps=(14, 14), angle=rng.uniform(-90, 90),
            uneven=self.uneven(0.12), twist=0.05,
        )  # fmt: skip

    def _stomach(self, canvas: Canvas) -> None:
        """Stomach with its level of gas over fluid, and the pancreas behind it."""
        top = self.extent[1]
        stomach = Tube(
            (top - 130, top - 12), [(top - 130, 10), (top - 80, 40), (top - 12, 62)],
            [(top - 130, -40), (top - 12, -12)], [(top - 130, 42), (top - 60, 36), (top - 12, 36)],
            [(top - 130, 15), (top - 60, self.around(30.0)), (top - 12, 34)], caps=(20, 30),
            angle=25, uneven=self.uneven(0.08), twist=0.01,
        )  # fmt: skip
        held = Both(stomach, self.cavity)
        canvas.paint(held, "fat", grow=2, inner=[("bowel wall", 0), ("fluid", -4)])
        bubble = Tube(stomach.z, stomach.x, -60, 60, self.around(34.0, 0.2))
        canvas.paint(Both(stomach, bubble), "gas", grow=-4.5)
        pancreas = Tube(
            (top - 135, top - 95), 14, -8, 52, 11, caps=(14, 14), angle=8,
            uneven=self.uneven(0.12),
        )  # fmt: skip
        canvas.paint(pancreas, "pancreas")

    def _liver(self, canvas: Canvas) -> None:
        low, high = self.span["liver"]
        edge, height = self.half[0] - 2, high - low
        knots = [low + t * height for t in (0.0, 0.3, 0.6, 0.85, 1.0)]
        x = [r - edge for r in (34, 54, 70, 68, 66)]
        rx, ry = (32, 56, 76, 68, 52), (38, 60, 76, 68, 52)
        right = Tube(
            (low, high), list(zip(knots, x, strict=True)), [(low, 6), (high, -2)],
            list(zip(knots, rx, strict=True)), list(zip(knots, ry, strict=True)),
            caps=(16, 24), square=0.2, uneven=self.uneven(0.05), twist=0.006,
        )  # fmt: skip
        left = Tube(
            (low + 0.3 * height, high - 0.08 * height), 6, -44, self.around(62.0, 0.15),
            self.around(26.0, 0.12), caps=(22, 24), angle=-14, uneven=self.uneven(0.08),
        )  # fmt: skip
        hilum = Tube(THROUGH, 14, 34, 44, self.around(52.0, 0.06), uneven=self.uneven(0.08))
        renal_fossa = Tube(
            (-500, self.span["right kidney"][1]), -54, 56, 40, 34, caps=(0, 20), angle=-20,
            uneven=self.uneven(0.05),
        )  # fmt: skip
        whole = Without(Without(Either(right, left), hilum), renal_fossa)
        canvas.paint(Both(whole, self.cavity), "liver", organ=1)
        self._liver_vessels(canvas, low + 0.62 * height)
        gallbladder = ball(
            -46, -42, low + 0.38 * height, self.around(13.0, 0.2), flat=1.2, tall=1.6
        )  # fmt: skip
        canvas.paint(gallbladder, "bowel wall", grow=1.5, inner=[("bile", 0)])

    def _liver_vessels(self, canvas: Canvas, z: float) -> None:
        """The hepatic veins, which run in the plane from the cava into the right lobe."""
        for place in (-0.9, -0.2, 0.5):
            turn = place + self.rng.normal(0, 0.15)
            vein = Tube(
                (z - 12, z + 14), -30 - 38 * math.cos(turn), -8 + 38 * math.sin(turn),
                self.around(30.0, 0.2), self.around(1.9, 0.2), caps=(6, 6),
                angle=-math.degrees(turn), uneven=self.uneven(0.2),
            )  # fmt: skip
            canvas.paint(vein, "bile", inside=1, opacity=0.35)

    def _spleen(self, canvas: Canvas) -> None:
        low, high = self.span["spleen"]
        edge, height = self.half[0] - 3, high - low
        outer = Tube(
            (low, high), edge - 30, 32, self.around(31.0, 0.12), self.around(50.0),
            caps=(0.45 * height, 0.4 * height), angle=12, square=0.2, uneven=self.uneven(0.05),
        )  # fmt: skip
        hilum = Tube(
            THROUGH, edge - 60, self.around(14.0, 0.3), self.around(33.0, 0.08), 40,
            uneven=self.uneven(0.06),
        )  # fmt: skip
        spleen = Both(Without(outer, hilum), self.cavity)
        canvas.paint(spleen, "fat", grow=1.5, opacity=0.8)
        canvas.paint(spleen, "spleen", organ=4)

    def _kidney(self, canvas: Canvas, name: str, side: float) -> None:
        low, high = self.span[name]
        organ, half = self.organs.index(name) + 1, (high - low) / 2
        kidney = Tube(
            (low, high), [(low, side * self.around(72.0, 0.05)), (high, side * 54)],
            self.around(38.0, 0.08), self.around(25.0, 0.07), self.around(28.0, 0.07),
            caps=(half, half), angle=side * 32, uneven=self.uneven(0.05), twist=0.01,
        )  # fmt: skip
        canvas.paint(kidney, "fat", grow=self.around(5.0, 0.3))
        canvas.paint(kidney, "renal cortex", organ=organ)
        for z in np.linspace(low + 14, high - 14, 7):
            middle = side * (70 - 18 * (z - low) / (high - low))
            for turn in self.rng.uniform(-2.4, 2.4, 3):
                pyramid = ball(
                    middle + side * 13 * math.cos(turn), 38 + 15 * math.sin(turn), z,
                    self.around(5.5, 0.2), tall=1.3,
                )  # fmt: skip
                canvas.paint(pyramid, "renal medulla", inside=organ, opacity=0.9)
        hilum = Tube(
            (low + 0.55 * half, high - 0.55 * half), [(low, side * 58), (high, side * 40)], 30,
            15, 8.5, caps=(0.4 * half, 0.4 * half), angle=side * 25, uneven=self.uneven(0.12),
        )  # fmt: skip
        canvas.paint(hilum, "renal sinus", inside=organ)
        canvas.paint(hilum, "urine", inside=organ, grow=-5.5, opacity=0.8)

    def _vessels(self, canvas: Canvas) -> None:
        """Aorta with its flow void, and the inferior vena cava."""
        aorta = Tube(
            THROUGH, self.around(9.0, 0.3), [(-100, 8), (80, 14)], self.around(9.5), 9.5
        )  # fmt: skip
        cava = Tube(
            THROUGH, -18, [(-100, 8), (80, -4)], 12, 8.5, uneven=self.uneven(0.1), twist=0.03
        )  # fmt: skip
        canvas.paint(aorta, "bowel wall", grow=1.5, inner=[("fast blood", 0)])
        canvas.paint(cava, "bowel wall", grow=1.5, inner=[("slow blood", 0)])
