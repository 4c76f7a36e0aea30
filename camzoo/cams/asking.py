"""Asking methods one after another about a view that none can spoil for the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.core.errors import ConfigError

#: Told the name of a method, and what it changed that others read.
Blame = Callable[[str, str], None]


def refuse(name: str, changed: str) -> None:
    """Blame a method by an error that ends all.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"{name} {harm(changed)}")


def harm(changed: str) -> str:
    """Say what a method did that it must not do, and what to do instead."""
    return f"changed {changed}, which other methods read; let it work on a copy"


@dataclass(frozen=True)
class Asked:
    """All methods of a run.

    Attributes:
        methods: The methods by name.
        seal: Guards the classifier, if there is one.
        blame: Told who changed what.
    """

    methods: Mapping[str, CamMethod]
    seal: ModelSeal | None
    blame: Blame

    def about(self, look: Callable[[], FeatureView]) -> dict[str, Tensor]:
        """Return each method's saliency."""
        view = self._before_all(look)
        answers = {}
        for name, method in self.methods.items():
            answers[name] = method(view)
            if view.changes():
                view = look()
        if self._changes(view):
            # Somebody changed the classifier, or wrote where torch does not count: others saw it.
            return self._one_by_one(look)
        return answers

    def _one_by_one(self, look: Callable[[], FeatureView]) -> dict[str, Tensor]:
        """Give each method a view of its own, and look at everything after each."""
        answers = {}
        for name, method in self.methods.items():
            self._restore()
            view = self._before_all(look)
            answers[name] = method(view)
            changed = self._changes(view)
            if changed:
                self.blame(name, changed)
                answers[name] = torch.zeros_like(answers[name])
        self._restore()
        return answers

    def _before_all(self, look: Callable[[], FeatureView]) -> FeatureView:
        """Make a view while nothing has been harmed."""
        view = look()
        if self.seal is not None and self.seal.changes():
            self.seal.renew()  # networks may remember things of their own passes
        return view

    def _changes(self, view: FeatureView) -> str:
        found = [view.changes(thorough=True)]
        if self.seal is not None:
            found.append(self.seal.changes(thorough=True))
        return " and ".join(what for what in found if what)

    def _restore(self) -> None:
        if self.seal is not None:
            self.seal.restore()
