"""A male pelvis as an axial T2-weighted turbo spin echo shows it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from camzoo.data.phantom.anatomy import SIDES, THROUGH, Anatomy
from camzoo.data.phantom.canvas import Canvas, Tissue
from camzoo.data.phantom.scanner import Texture
from camzoo.data.phantom.shapes import Both, Shape, Tube, ball

_TISSUES: Final = {
    "skin": Tissue(0.30, 0.05),
    "fat": Tissue(0.68, 0.06, -0.45),
    "deep fat": Tissue(0.62, 0.10, -0.50),
    "plexus": Tissue(0.52, 0.20, -0.40),
    "fascia": Tissue(0.20, 0.05),
    "muscle": Tissue(0.11, 0.16, 2.2),
    "levator": Tissue(0.13, 0.16, 1.0),
    "cortical bone": Tissue(0.05, 0.0),
    "marrow": Tissue(0.46, 0.13, -0.15),
    "joint": Tissue(0.70, 0.05),
    "artery": Tissue(0.05, 0.0),
    "vein": Tissue(0.92, 0.05),
    "urine": Tissue(1.20, 0.02),
    "bladder wall": Tissue(0.17, 0.12),
    "rectal wall": Tissue(0.20, 0.15, 0.8),
    "mucosa": Tissue(0.36, 0.18),
    "gas": Tissue(0.02, 0.0),
    "stool": Tissue(0.19, 0.25, 0.8),
    "vesicle wall": Tissue(0.26, 0.10),
    "vesicle": Tissue(0.95, 0.10),
    "bulb": Tissue(0.62, 0.10, -0.20),
    "capsule": Tissue(0.18, 0.08),
    "peripheral zone": Tissue(0.82, 0.12, -0.35),
    "central gland": Tissue(0.34, 0.20, 0.35),
    "stroma": Tissue(0.16, 0.10),
    "dark nodule": Tissue(0.26, 0.12, 0.2),
    "grey nodule": Tissue(0.45, 0.15, 0.2),
    "bright nodule": Tissue(0.75, 0.15, -0.2),
    "lesion": Tissue(0.26, 0.08),
    "urethra": Tissue(0.75, 0.05),
}
_NODULES: Final = ("dark nodule", "grey nodule", "bright nodule")


class Prostate(Anatomy):
    """Gland with its zones between bladder, rectum and pelvic floor.

    The origin is the middle of the gland. Lengths follow an adult pelvis; the gland measures about
    52 x 37 x 41 mm.
    """

    organs = ("prostate",)
    negatives = 0.55
    field_of_view = (200.0, 200.0)
    centre = (4.0, 0.0)
    bend = (2.6, 44.0)
    texture = Texture(
        grain=(3.0, 1.6, 1.6), mottle=(8.0, 5.0, 5.0), strand=(12.0, 9.0, 9.0), width=0.13
    )
    tissues = _TISSUES

    def __init__(self, rng: np.random.Generator, phase: str, cooccurrence: float) -> None:
        super().__init__(rng, phase, cooccurrence)
        self.half = self.around(26.0, 0.08), self.around(18.5, 0.09)
        height = self.around(41.0, 0.09)
        self.extent = (-height / 2, height / 2)
        self.slice_mm = float(np.clip(height / rng.integers(10, 15), 2.4, 4.0))
        self.hypertrophy = rng.random()

    def paint(self, canvas: Canvas) -> None:
        """Paint the pelvis; see :meth:`Anatomy.paint`."""
        self._body_wall(canvas)
        for side in SIDES:
            for muscle in (*self._thigh(side), *self._hip(side)):
                canvas.paint(muscle, "fat", grow=1.6, inner=[("muscle", 0)])
        self._bones(canvas)
        self._pelvic_floor(canvas)
        self._rectum(canvas)
        self._bladder(canvas)
        self._seminal_vesicles(canvas)
        self._veins(canvas)
        self._gland(canvas)
        self._zones(canvas)

    def _body_wall(self, canvas: Canvas) -> None:
        front = self.around(92.0, 0.05)
        body = Tube(THROUGH, 0, 40, 185, front + 40, square=0.5)
        canvas.paint(body, "skin", inner=[("fat", -1.5)])
        for side in SIDES:
            rectus = Tube(
                (-16, 500), [(-16, side * 12), (30, side * 24)], [(-16, -58), (60, -68)],
                [(-16, 12), (30, 23)], [(-16, 3), (30, 7)], caps=(6, 0), angle=side * 5,
                uneven=self.uneven(0.04),
            )  # fmt: skip
            canvas.paint(rectus, "muscle")
            cord = Tube(
                THROUGH, side * self.around(36.0), -74, 8, 6, uneven=self.uneven(0.1)
            )  # fmt: skip
            canvas.paint(cord, "fascia", inner=[("deep fat", -1)])
            for dx, r, blood in ((0, 4.5, "artery"), (8, 4.5, "artery"), (15, 3.5, "vein")):
                vessel = Tube(THROUGH, side * (76 - dx), self.around(-60, 0.03), r + 1.2, r + 1)
                canvas.paint(vessel, "fascia", inner=[(blood, -1.2)])

    def _thigh(self, side: float) -> tuple[Tube, ...]:
        """Muscles below the hip: adductors, obturator externus, pectineus and gluteus."""
        adductors = Tube(
            (-500, -4), side * 60, -38, [(-40, 38), (-10, 32)], [(-40, 17), (-4, 11)],
            caps=(0, 10), angle=side * 38, square=0.3, uneven=self.uneven(0.04),
        )  # fmt: skip
        externus = Tube(
            (-500, 2), side * 64, [(-40, -4), (0, -12)], [(-40, 58), (0, 44)], [(-40, 19), (0, 11)],
            caps=(0, 12), angle=side * 42, square=0.3, uneven=self.uneven(0.04),
        )  # fmt: skip
        pectineus = Tube(
            (-30, 45), side * 66, -50, 26, 11, caps=(12, 12), angle=side * 24,
            uneven=self.uneven(0.05),
        )  # fmt: skip
        gluteus = Tube(
            THROUGH, side * 78, [(-40, 92), (40, 84)], 56, [(-40, 24), (40, 19)],
            angle=-side * 10, square=0.3, uneven=self.uneven(0.04),
        )  # fmt: skip
        return adductors, externus, pectineus, gluteus

    def _hip(self, side: float) -> tuple[Tube, ...]:
        """Muscles at the hip: iliopsoas and obturator internus, the side wall of the pelvis."""
        iliopsoas = Tube(
            (0, 500), side * 92, -46, 20, 15, caps=(14, 0), uneven=self.uneven(0.06)
        )  # fmt: skip
        internus = Tube(
            (-500, 75), [(-45, side * 40), (-10, side * 46), (60, side * 58)],
            [(-45, 34), (-10, 8), (60, 0)], [(-45, 6), (0, self.around(10.5)), (75, 6)],
            [(-45, 26), (-10, 46), (60, 50)], caps=(0, 12), angle=side * self.around(-6.0, 0.3),
            square=0.3, uneven=self.uneven(0.04),
        )  # fmt: skip
        return iliopsoas, internus

    def _bones(self, canvas: Canvas) -> None:
        sacrum = Tube(
            (4, 500), 0, [(4, 84), (60, 92)], [(4, 7), (60, 34)], [(4, 6), (60, 14)],
            caps=(10, 0), uneven=self.uneven(0.05),
        )  # fmt: skip
        bones: list[Shape] = [sacrum]
        for side in SIDES:
            bones += self._hip_bone(side)
        for bone in bones:
            canvas.paint(bone, "cortical bone", inner=[("marrow", -1.8)])
        for side in SIDES:
            head = ball(side * 90, -4, 26, self.around(26.0, 0.05))
            canvas.paint(head, "joint", grow=3.2, inner=[("cortical bone", 0), ("marrow", -1.8)])

    def _hip_bone(self, side: float) -> tuple[Tube, ...]:
        ramus = Tube(
            (-8, 26), [(-8, side * 40), (20, side * 66)], [(-8, -46), (20, -32)], 28, 9,
            caps=(7, 9), angle=side * 24, uneven=self.uneven(0.05),
        )  # fmt: skip
        pubis = Tube(
            (-34, 10), [(-34, side * 26), (-12, side * 17), (10, side * 22)],
            [(-34, -26), (-12, -48), (10, -52)], [(-34, 8), (-12, 16), (10, 24)],
            [(-34, 15), (-12, 23), (10, 9)], caps=(8, 5), angle=-side * 22, square=0.3,
            uneven=self.uneven(0.04),
        )  # fmt: skip
        acetabulum = Tube(
            (-4, 75), side * 76, [(-4, 22), (20, 2)], [(-4, 15), (14, 19)], [(-4, 18), (16, 44)],
            caps=(8, 12), angle=-side * 6, square=0.3, uneven=self.uneven(0.05),
        )  # fmt: skip
        ischium = Tube(
            (-500, 4), side * 62, [(-50, 44), (0, 36)], [(-50, 12), (0, 15)], [(-50, 17), (0, 20)],
            caps=(0, 8), angle=-side * 28, square=0.3, uneven=self.uneven(0.05),
        )  # fmt: skip
        return ramus, pubis, acetabulum, ischium

    def _pelvic_floor(self, canvas: Canvas) -> None:
        a, b = self.half
        cavity = Tube(
            (-14, 500), 0, [(-14, 10), (60, 8)], [(-14, a + 6), (10, 40), (60, 52)],
            [(-14, 38), (10, 54), (60, 70)], caps=(14, 0), square=0.4, uneven=self.uneven(0.03),
        )  # fmt: skip
        canvas.paint(cavity, "deep fat")
        sling = Tube(
            (-500, 18), 0, [(-48, 24), (-18, 14), (18, 12)],
            [(-60, 13), (-30, 18), (-8, a + 5), (18, a + 8)],
            [(-60, 18), (-30, 30), (-8, b + 23), (18, b + 28)], caps=(0, 4), square=0.3,
            uneven=self.uneven(0.03, form=(0j, 0.07j)),
        )  # fmt: skip
        canvas.paint(sling, "levator")
        hiatus = Tube(
            (-24, 18), 0, [(-24, 6), (18, 10)], [(-24, 8), (-8, a + 2.5), (18, a + 6)],
            [(-24, 10), (-8, b + 19), (18, b + 26)], caps=(10, 0), square=0.3,
            uneven=self.uneven(0.03, form=(0j, 0.07j)),
        )  # fmt: skip
        canvas.paint(hiatus, "plexus")
        bulb = Tube((-500, -28), 0, -6, [(-60, 13), (-28, 8)], [(-60, 9), (-28, 6)], caps=(0, 6))
        canvas.paint(bulb, "fascia", grow=1.5, inner=[("bulb", 0)])

    def _rectum(self, canvas: Canvas) -> None:
        width, gas = self.around(16.0, 0.14), self.rng.random() < 0.4
        depth = (0.95 if gas else 0.8) * width
        bowel = Tube(
            THROUGH, [(0, 0), (25, self.around(3.0, 1.0)), (70, self.around(6.0, 2.0))],
            [(-48, 30), (-20, 29), (0, 35), (40, 50)],
            [(-50, 11), (-20, 12), (5, width), (40, 1.2 * width)],
            [(-50, 13), (-20, 13), (5, depth), (40, width)],
            uneven=self.uneven(0.06), twist=0.04,
        )  # fmt: skip
        content = "gas" if gas else "stool"
        canvas.paint(bowel, "rectal wall", inner=[("mucosa", -3.4), (content, -5)])

    def _bladder(self, canvas: Canvas) -> None:
        fill = self.around(1.0, 0.16)
        low = self.extent[1] - self.around(12.0, 0.3)
        bladder = Tube(
            (low, low + 110 * fill), 0, [(low, -14), (low + 30, -9), (low + 80, -4)],
            [(low, 22), (low + 35, 42 * fill)], [(low, 13), (low + 35, 33 * fill)],
            caps=(26, 50), square=0.2, uneven=self.uneven(0.04), twist=0.01,
        )  # fmt: skip
        wall = self.around(4.5, 0.25)
        canvas.paint(bladder, "bladder wall", grow=wall, inner=[("urine", 0)])

    def _seminal_vesicles(self, canvas: Canvas) -> None:
        top, rng = self.extent[1], self.rng
        for side in SIDES:
            for along in rng.random(15):
                low = top - 2 + 14 * rng.random()
                tubule = Tube(
                    (low, max(low + 4, top + 14 + 8 * along)), side * (4 + 30 * along),
                    25 - 6 * along + rng.normal(0, 2.5), self.around(4.2, 0.3),
                    self.around(2.8, 0.25), caps=(4, 5), angle=rng.uniform(-70, 70),
                    uneven=self.uneven(0.15),
                )  # fmt: skip
                canvas.paint(tubule, "vesicle wall", grow=1.1, inner=[("vesicle", 0)])

    def _veins(self, canvas: Canvas) -> None:
        """The venous plexus on the front and the sides of the gland."""
        a, b = self.half
        for turn in self.rng.uniform(-1.25 * math.pi, 0.25 * math.pi, 44):
            reach = self.around(1.22, 0.07)
            vein = ball(
                a * reach * math.cos(turn), b * reach * math.sin(turn),
                self.rng.uniform(*self.extent), self.around(1.6, 0.35), tall=3.5,
            )  # fmt: skip
            canvas.paint(vein, "vein" if self.rng.random() < 0.6 else "artery")

    def _gland(self, canvas: Canvas) -> None:
        low, high = self.extent
        a, b = self.half
        knots = np.linspace(low, high, 6)
        width = a * np.array([0.42, 0.72, 0.95, 1.0, 0.96, 0.70])
        depth = b * np.array([0.50, 0.78, 0.98, 1.0, 0.98, 0.75])
        gland = Tube(
            self.extent, 0, [(low, 2), (0, 0), (high, -2)],
            list(zip(knots, width, strict=True)), list(zip(knots, depth, strict=True)),
            caps=(7, 9), square=0.25, twist=0.01,
            # The third harmonic hollows the back towards the rectum: a chestnut.
            uneven=self.uneven(0.035, form=(0j, -0.055j)),
        )  # fmt: skip
        canvas.paint(gland, "capsule", organ=1, inner=[("peripheral zone", -0.8)])
        side, r = self.rng.choice(SIDES), self.around(5.5, 0.2)
        lesion = ball(side * 0.6 * a, 0.55 * b, self.rng.uniform(-10, 5), r, flat=0.7)
        if self.rng.random() < 0.5:
            canvas.paint(lesion, "lesion", inside=1, opacity=0.85)

    def _zones(self, canvas: Canvas) -> None:
        """Central gland, fibromuscular stroma in front of it, urethra."""
        low, high = self.extent
        a, b = self.half
        size = 0.8 + 0.4 * self.hypertrophy
        knots = [low, 0.5 * low, 0.0, 0.5 * high, high]
        width = a * size * np.array([0.20, 0.45, 0.64, 0.78, 0.70])
        depth = b * size * np.array([0.30, 0.50, 0.68, 0.82, 0.75])
        centre = Tube(
            (low * 0.8, high), 0, [(0, -4), (high, -2)],
            list(zip(knots, width, strict=True)), list(zip(knots, depth, strict=True)),
            caps=(6, 0), uneven=self.uneven(0.06),
        )  # fmt: skip
        canvas.paint(centre, "capsule", inside=1, grow=0.7, inner=[("central gland", 0)])
        self._nodules(canvas, centre)
        stroma = Tube(self.extent, 0, -0.86 * b, 0.42 * a, 0.30 * b, uneven=self.uneven(0.08))
        canvas.paint(stroma, "stroma", inside=1, opacity=0.8)
        urethra = Tube(self.extent, 0, 1.5, [(low, 3.5), (0, 2)], [(low, 3.5), (0, 2.6)])
        canvas.paint(urethra, "urethra", inside=1, opacity=0.7)

    def _nodules(self, canvas: Canvas, centre: Tube) -> None:
        """Nodules of benign hyperplasia, each in a dark rim; the more, the larger the centre."""
        a, b = self.half
        for _ in range(6 + round(8 * self.hypertrophy)):
            turn, reach = self.rng.uniform(0, 2 * math.pi), 0.5 * math.sqrt(self.rng.random())
            nodule = ball(
                a * reach * math.cos(turn), b * reach * math.sin(turn) - 3,
                self.rng.uniform(-0.4, 0.9) * self.extent[1], self.around(4.5, 0.35),
                flat=self.around(0.9), tall=self.around(1.1),
            )  # fmt: skip
            look = self.rng.choice(_NODULES)
            canvas.paint(Both(nodule, centre), "stroma", inside=1, grow=0.6, inner=[(look, 0)])
