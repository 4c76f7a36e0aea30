"""Maps made again of disturbed slices and by networks that learnt nothing, beside those of before.

All methods share one pass per disturbance, as they do in a run. Every pass has one view, at scale 1
and not mirrored, also that of slices as they are: so nothing but the disturbance tells two maps
apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.base import CamMethod, FitContext
from camzoo.cams.disturbances import DISTURBANCES, Disturbance, disturb
from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.pipeline import make_maps
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.core.progress import Tick, silent
from camzoo.data.slices import TaggedSlices
from camzoo.evaluate.localised import OrganMaps, organ_maps
from camzoo.harness.cells import Cell
from camzoo.harness.guarded import Guarded
from camzoo.metrics.localisation import rank_correlation, standard_ranks
from camzoo.network.backbone import Classifier
from camzoo.network.redrawn import PARTS, redrawn

#: The pass that all others are compared with.
_AS_IS: Final = "as it is"
_SIDED: Final = "organs of this data set are named by the side of the body that they lie on"
#: Slices whose maps are in memory at a time, unless a case has more.
_AT_ONCE: Final = 64


class FixedMap(CamMethod):
    """The same map for every slice: what a control is that looks at no slice and no network.

    Args:
        planes: Non-negative, [C, s, s].
    """

    paper = "no paper"
    control = True
    cost = "nothing"

    def __init__(self, planes: Tensor) -> None:
        self._planes = planes

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the map for every slice."""
        return self._planes.to(view.features).expand(len(view.images), -1, -1, -1)


@dataclass(frozen=True)
class Asked:
    """A method that is asked for maps.

    Attributes:
        kind: Its class.
        settings: Arguments of the constructor.
    """

    kind: type[CamMethod]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """Maps beside those of slices as they are.

    Attributes:
        values: A row per slice with an organ, method and pass: what (the pass), line, organ, case,
            slice, correlation, empty (1 where the map has become empty; both NaN where that of the
            slice as it is has no order of pixels), energy (share of the mass in the organ) and
            energy_before.
        failures: Why a method has no rows of a pass, or of none, by method.
        skipped: Passes that were not made, and why.
    """

    values: pd.DataFrame
    failures: Mapping[str, str]
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class _Pass:
    """What maps are made of, and by which classifier."""

    name: str
    classifier: Classifier
    disturbance: Disturbance | None = None


def compare_maps(
    cell: Cell,
    asked: Mapping[str, Asked],
    cases: Sequence[str],
    *,
    draw: int = 0,
    disturbances: Mapping[str, Disturbance] = DISTURBANCES,
    tick: Tick = silent,
) -> Compared:
    """Make maps of slices with organs as they are, disturbed, and by networks drawn anew.

    Args:
        cell: A trained classifier, with its slices and masks.
        asked: Methods that need no fitting, by the name of their line.
        cases: Cases that are looked at.
        draw: Seed of noise, fields and weights.
        disturbances: By name.
        tick: Told (parts done, parts in all).
    """
    sided = cell.slices.sided
    wanted = {n: d for n, d in disturbances.items() if not (sided and d.exchanges_sides)}
    skipped = dict.fromkeys(disturbances.keys() - wanted.keys(), _SIDED)
    passes, pipeline = _passes(cell, wanted, draw), _Pipeline(cell, asked, draw)
    parts = list(_parts(cell, cases))
    found: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for number, slices in enumerate(parts):
        reference = _Reference.of(cell, slices, pipeline.make(passes[0], slices))
        for place, each in enumerate(passes[1:], 2):
            for line, maps in pipeline.make(each, slices).items():
                found.setdefault((each.name, line), []).append(reference.beside(line, maps))
            tick(number * len(passes) + place, len(parts) * len(passes))
    kept = [
        pd.concat(frames).assign(what=name, line=line)
        for (name, line), frames in found.items()
        if not pipeline.has_failed(name, line)
    ]
    values = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=["what", "line"])
    return Compared(values, pipeline.failures, skipped)


def _parts(cell: Cell, cases: Sequence[str]) -> Iterator[TaggedSlices]:
    """Slices of cases that show an organ, of so many cases together as fit into memory."""
    waiting: list[str] = []
    count = 0
    for case in cases:
        more = len(cell.prepared.tagged([case]).positive_rows)
        if waiting and count + more > _AT_ONCE:
            yield cell.prepared.tagged(waiting).positives()
            waiting, count = [], 0
        waiting, count = [*waiting, case], count + more
    if count:
        yield cell.prepared.tagged(waiting).positives()


def _passes(cell: Cell, disturbances: Mapping[str, Disturbance], draw: int) -> list[_Pass]:
    """The pass of slices as they are, those of networks drawn anew, and those of disturbances."""
    trained, backbone = cell.trained.classifier, cell.context.config.backbone
    return [
        _Pass(_AS_IS, trained),
        *(_Pass(part, redrawn(trained, backbone, part, seed=draw)) for part in PARTS),
        *(_Pass(name, trained, disturbance) for name, disturbance in disturbances.items()),
    ]


class _Pipeline:
    """Makes maps of all methods at one view; a method that failed in a pass is not asked again."""

    def __init__(self, cell: Cell, asked: Mapping[str, Asked], draw: int) -> None:
        self._cell, self._asked, self._draw = cell, asked, draw
        self._config = cell.context.config.maps.model_copy(
            update={"scales": (1.0,), "flip": "never"}
        )
        self._failed: dict[tuple[str, str], str] = {}

    @property
    def failures(self) -> dict[str, str]:
        """Why methods failed, by method, with the pass where it was not that of all others."""
        found: dict[str, str] = {}
        for (name, line), why in self._failed.items():
            found.setdefault(line, why if name == _AS_IS else f"{name}: {why}")
        return found

    def has_failed(self, name: str, line: str) -> bool:
        """Whether a method has no maps of a pass, or none to compare them with."""
        return (name, line) in self._failed or (_AS_IS, line) in self._failed

    def make(self, wanted: _Pass, slices: TaggedSlices) -> dict[str, NDArray[Any]]:
        """Return maps [N, C, s, s] by method, brought back to the places of the slices."""
        context, name = self._cell.context, wanted.name
        seal = ModelSeal(wanted.classifier)
        lines = [line for line in self._asked if not self.has_failed(name, line)]
        guarded = {line: self._guard(line, wanted, seal, slices) for line in lines}
        shape = len(slices), len(slices.organs), self._config.size
        outs = {line: MapArrays.empty(*shape) for line in lines}
        seen = slices
        if wanted.disturbance is not None:
            seen = disturb(slices, name, wanted.disturbance, self._draw)
        if lines:
            make_maps(
                wanted.classifier, guarded, seen, self._config, outs,
                layer=context.config.backbone.layer,
                precision=context.config.training.precision,
                seal=seal, blame=lambda line, changed: guarded[line].blame(changed),
            )  # fmt: skip
        for line, method in guarded.items():
            if method.failure:
                self._failed[name, line] = method.failure
        made = {line: out.maps for line, out in outs.items() if not self.has_failed(name, line)}
        if wanted.disturbance is None:
            return made
        return {line: wanted.disturbance.undo(maps) for line, maps in made.items()}

    def _guard(self, line: str, wanted: _Pass, seal: ModelSeal, slices: TaggedSlices) -> Guarded:
        """Construct a method behind its guard. It learns nothing: only such are asked."""
        asked, context = self._asked[line], self._cell.context
        guarded = Guarded(asked.kind, context.store.root, self._cell.seed, seal, asked.settings)
        guarded.fit(
            FitContext(
                classifier=wanted.classifier,
                slices=slices,
                generator=torch.Generator().manual_seed(self._cell.seed),
                device=context.device,
                layer=context.config.backbone.layer,
                side=self._config.side,
            )
        )
        return guarded


@dataclass(frozen=True)
class _Reference:
    """Maps of slices as they are, ranked once for all that is compared with them."""

    organs: tuple[OrganMaps, ...]
    ranks: Mapping[str, Sequence[NDArray[np.float64]]]
    energies: Mapping[str, Sequence[NDArray[np.float64]]]

    @classmethod
    def of(cls, cell: Cell, slices: TaggedSlices, before: Mapping[str, NDArray[Any]]) -> _Reference:
        organs = tuple(organ_maps(cell.prepared, slices, cell.context.config.maps.size))
        ranks, energies = {}, {}
        for line, maps in before.items():
            pixels = [organ.pixels(maps) for organ in organs]
            ranks[line] = [standard_ranks(each) for each in pixels]
            energies[line] = [o.energies(each) for o, each in zip(organs, pixels, strict=True)]
        return cls(organs, ranks, energies)

    def beside(self, line: str, after: NDArray[Any]) -> pd.DataFrame:
        """Compare maps of a method with them, a row per slice and organ."""
        frames = []
        each = zip(self.organs, self.ranks[line], self.energies[line], strict=True)
        for organ, ranks, energy in each:
            pixels = organ.pixels(after)
            # A map that is empty before has nothing to stay the same as: it is left out.
            told = ranks.any(axis=1)
            correlation = rank_correlation(ranks, standard_ranks(pixels))
            frames.append(
                organ.table(
                    correlation=np.where(told, correlation, np.nan),
                    empty=np.where(told, pixels.max(axis=1) <= 0, np.nan),
                    energy_before=energy,
                    energy=organ.energies(pixels),
                )
            )
        return pd.concat(frames)
