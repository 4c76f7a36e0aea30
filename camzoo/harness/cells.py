"""The cells of a run, one per fold and seed: what all methods share, handed on whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from camzoo.data.slices import Prepared, TaggedSlices
from camzoo.data.splits import Split
from camzoo.harness.context import Context, Place
from camzoo.harness.requests import Amounts, Requests
from camzoo.harness.store import Artifact
from camzoo.network.backbone import Classifier


@dataclass(frozen=True)
class Trained:
    """A trained classifier.

    Attributes:
        artifact: Where it is stored.
        classifier: Classifier on the device of the run, in evaluation mode.
        history: Loss and tag accuracy per epoch.
    """

    artifact: Artifact
    classifier: Classifier
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """Everything that is there before the first method, and shared by all of them.

    Attributes:
        context: Context of the run.
        prepared: Slices, tags and masks.
        split: Cases per subset.
        seed: Seed of training.
        trained: The classifier.
    """

    context: Context
    prepared: Prepared
    split: Split
    seed: int
    trained: Trained

    @property
    def place(self) -> Place:
        """Fold and seed."""
        return Place(self.split.fold, self.seed)

    @cached_property
    def requests(self) -> Requests:
        """What it asks the store for."""
        amounts = Amounts.of(self.context.config, self.prepared, self.split)
        return Requests(self.context, self.place, self.split, amounts, self.trained.artifact)

    @property
    def slices(self) -> TaggedSlices:
        """All slices of the data set."""
        return self.prepared.tagged()

    @property
    def training_slices(self) -> TaggedSlices:
        """Those that may be learned from; each call gives slices of their own."""
        return self.prepared.tagged(self.split.train)
