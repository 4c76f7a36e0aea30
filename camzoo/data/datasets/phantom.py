"""Phantom: MR-like volumes made on the spot from a seed, with dials for what makes them hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from camzoo.core.errors import ConfigError, DataError
from camzoo.data.datasets.base import Case, Dataset, Facts, Folds, register_dataset
from camzoo.data.phantom.abdomen import Abdomen
from camzoo.data.phantom.anatomy import Anatomy
from camzoo.data.phantom.cardiac import Cardiac
from camzoo.data.phantom.dials import Dials
from camzoo.data.phantom.prostate import Prostate
from camzoo.data.phantom.render import Rendered, render
from camzoo.data.volume import FloatArray, Volume

#: Place in this table goes into the seed of a patient: append, never reorder.
VARIANTS: Final[dict[str, type[Anatomy]]] = {
    "prostate": Prostate,
    "cardiac": Cardiac,
    "abdomen": Abdomen,
}
_USUAL: Final = "prostate"
_SIZES: Final = (32, 512)
_ORDINARY_COOCCURRENCE: Final = 0.5


@register_dataset("phantom")
class Phantom(Dataset):
    """Volumes with the geometry and the classes of the real sets, drawn from a seed.

    ``prostate`` stands for an axial T2 pelvis, ``cardiac`` for a short-axis cine with two phases
    per patient, ``abdomen`` for a fat-suppressed T2 with four organs. A patient depends on the
    seed, the variant and its number alone: neither on how many there are nor on the order of
    reading. The dials act on independent sources of randomness, so that turning one leaves the
    anatomy and the other effects as they were.

    Args:
        root: Must be None; the phantom needs no files.
        variant: "prostate", "cardiac" or "abdomen".
        patients: How many, at least 1.
        size: Voxels along the longer in-plane axis, 32 to 512; the field of view does not change.
        contrast: Contrast of the organs against their surroundings: 1 clear, 0 invisible.
        cooccurrence: Abdomen only: how often the organs share a slice. 1 puts them into the same
            slices, 0 sets them apart along z, 0.5 (the default) is ordinary anatomy.
        jitter: Standard deviation of the patient's position in the image, in mm per axis, 0 to 30.
        noise: Standard deviation of the complex noise over the mean signal of the organs.
        bias: Standard deviation of the logarithm of the coil shading.
        negatives: Share of slices without any organ, 0 to 0.9; by default that of the real sets.
        seed: Seed of all that is drawn.

    Attributes:
        variant: Variant, as given.
        dials: The dials, with defaults filled in.

    Raises:
        ConfigError: A root was given, or an option is outside its range.
    """

    facts: ClassVar[Facts] = Facts(
        title="camzoo phantom: synthetic pelvis, heart and abdomen",
        citation="camzoo, camzoo.data.datasets.phantom",
        licence="Apache-2.0",
        where="made on the spot from a seed",
        caveats=("synthetic: ranks of methods on it are not ranks on patients",),
    )

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        variant: str = _USUAL,
        patients: int = 24,
        size: int = 160,
        contrast: float = 1.0,
        cooccurrence: float | None = None,
        jitter: float = 8.0,
        noise: float = 0.04,
        bias: float = 0.3,
        negatives: float | None = None,
        seed: int = 0,
    ) -> None:
        if root is not None:
            raise ConfigError(f"phantom: it needs no files; leave out the root, got {str(root)!r}")
        self.variant = variant
        self.patients = _whole("patients", patients, 1, 10**6)
        self.size = _whole("size", size, *_SIZES)
        self.seed = _whole("seed", seed, 0, 2**32 - 1)
        self._anatomy = _anatomy(variant)
        if cooccurrence is not None and len(self._anatomy.organs) == 1:
            raise ConfigError(
                f"phantom: cooccurrence needs several organs, the variant {variant!r} has one; "
                "leave it out, or use variant 'abdomen'"
            )
        self.dials = Dials(
            contrast=contrast,
            cooccurrence=_ORDINARY_COOCCURRENCE if cooccurrence is None else cooccurrence,
            jitter=jitter,
            noise=noise,
            bias=bias,
            negatives=self._anatomy.negatives if negatives is None else negatives,
        )
        self.organs = self._anatomy.organs
        self.sided = self._anatomy.sided
        if self.sided:
            self.split = Folds(5)
        self._origin = {
            _case_id(number, phase): (number, phase)
            for number in range(1, self.patients + 1)
            for phase in self._anatomy.phases
        }
        self._last: tuple[str, Rendered] | None = None

    def cases(self) -> Sequence[Case]:
        """All cases, sorted by id; nothing is rendered."""
        return [
            Case(id=name, patient=_case_id(number, ""))
            for name, (number, _) in sorted(self._origin.items())
        ]

    def image(self, case: Case) -> Volume:
        """Make the scan of ``case``: int16, arbitrary units.

        Raises:
            DataError: The case is not one of this phantom.
        """
        rendered = self._render(case)
        return Volume(
            rendered.image.copy(), _affine(rendered), case.id, case.patient, self._source(case)
        )

    def label(self, case: Case) -> Volume:
        """Make the label of ``case``: uint8, c = ``organs[c - 1]``.

        Raises:
            DataError: The case is not one of this phantom.
        """
        rendered = self._render(case)
        return Volume(
            rendered.label.copy(), _affine(rendered), case.id, case.patient, self._source(case)
        )

    @property
    def own_name(self) -> str:
        """With the variant behind it, but for the default one."""
        return self.name if self.variant == _USUAL else f"{self.name}-{self.variant}"

    def fingerprint(self) -> dict[str, object]:
        """All options; the code that turns them into voxels is in every key by itself."""
        return {
            "variant": self.variant,
            "patients": self.patients,
            "size": self.size,
            "seed": self.seed,
            **{name: float(value) for name, value in asdict(self.dials).items()},
        }

    def _render(self, case: Case) -> Rendered:
        """Image and label are asked for one after the other: keep the last case."""
        last = self._last
        if last is not None and last[0] == case.id:
            return last[1]
        if case.id not in self._origin:
            raise DataError(
                f"phantom: case {case.id!r} is not one of its {len(self._origin)} cases "
                f"({self.variant}, {self.patients} patients)"
            )
        number, phase = self._origin[case.id]
        seed = (self.seed, list(VARIANTS).index(self.variant), number)
        rendered = render(self._anatomy, self.dials, size=self.size, seed=seed, phase=phase)
        self._last = case.id, rendered
        return rendered

    def _source(self, case: Case) -> str:
        return f"phantom:{self.variant}:{self.seed}:{case.id}"


def _case_id(number: int, phase: str) -> str:
    return f"patient{number:03d}" + (f"_{phase}" if phase else "")


def _affine(rendered: Rendered) -> FloatArray:
    """Index (z, y, x, 1) to RAS mm; the phantom's x and y grow to the left and to the back."""
    dz, dy, dx = rendered.grid.spacing
    z, y, x = rendered.grid.origin
    return np.array([[0, 0, -dx, -x], [0, -dy, 0, -y], [dz, 0, 0, z], [0, 0, 0, 1]], float)


def _anatomy(variant: str) -> type[Anatomy]:
    if variant not in VARIANTS:
        raise ConfigError(f"phantom: variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    return VARIANTS[variant]


def _whole(name: str, value: int, least: int, greatest: int) -> int:
    if type(value) is not int or not least <= value <= greatest:
        raise ConfigError(
            f"phantom: {name} must be a whole number from {least} to {greatest}, got {value!r}"
        )
    return value
