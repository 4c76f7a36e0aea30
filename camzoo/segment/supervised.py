"""The upper bound: the common U-Net on reference masks of all training patients, or of a few."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.data.slices import labels_on_grid
from camzoo.segment.base import UNetBaseline, register_baseline

if TYPE_CHECKING:
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("supervised")
class Supervised(UNetBaseline):
    """Learns reference masks: what the U-Net reaches where nothing is wrong with its labels.

    With ``patients`` it learns those of so many patients, and of no others a slice: what weak
    supervision has to be worth (``camzoo worth``). The steps are as many as for all patients.

    Args:
        patients: How many training patients are annotated; None is all.
        draw: Which ones. Of one draw, more patients are always the fewer ones and others.

    Raises:
        ConfigError: A number is too small.
    """

    title = "fully supervised U-Net (upper bound)"
    paper = "Ronneberger, MICCAI 2015"
    supervision = Supervision.MASK
    cost = "the U-Net"

    def __init__(self, patients: int | None = None, draw: int = 0) -> None:
        if patients is not None and patients < 1:
            raise ConfigError(f"patients: takes a whole number from 1 on, got {patients}")
        if draw < 0:
            raise ConfigError(f"draw: takes a whole number from 0 on, got {draw}")
        self._patients, self._draw = patients, draw

    def fit(self, context: BaselineContext) -> None:
        """Train the U-Net on the masks of the training cases."""
        labels = reference_labels(context, context.config.segmentation.side)
        if self._patients is None:
            self.learn(context, labels)
            return
        rows = self._annotated(context)
        self.learn(replace(context, train=context.train.at(rows)), labels[rows])

    def _annotated(self, context: BaselineContext) -> NDArray[np.int64]:
        """Training slices of the patients that were drawn, ascending.

        Raises:
            ConfigError: There are not so many patients.
        """
        patients = sorted({context.patients[case] for case, _, _ in context.train.cases})
        if self._patients is not None and self._patients > len(patients):
            raise ConfigError(
                f"patients: {self._patients} were asked for, and there are {len(patients)} to "
                "train on"
            )
        order = np.random.default_rng(self._draw).permutation(len(patients))
        drawn = {patients[i] for i in order[: self._patients]}
        return np.concatenate(
            [
                np.arange(start, stop, dtype=np.int64)
                for case, start, stop in context.train.cases
                if context.patients[case] in drawn
            ]
        )


def reference_labels(context: BaselineContext, side: int) -> NDArray[np.uint8]:
    """Reference masks of the training slices on a square grid: uint8 [N, side, side].

    Rows are those of ``context.train``.

    Raises:
        FirewallError: The supervision of the baseline does not include masks.
    """
    return labels_on_grid(context.masks(), (case for case, _, _ in context.train.cases), side)
