"""A method that fails fails its own row, not the run."""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, FitContext
from camzoo.cams.view import FeatureView


class Guarded(CamMethod):
    """Runs a method; after its first error it gives empty maps and remembers why.

    Attributes:
        failure: The error, or an empty string.
    """

    def __init__(self, method: type[CamMethod]) -> None:
        self.failure = ""
        self._type = method
        self._method: CamMethod | None = None

    def fit(self, context: FitContext) -> None:
        """Construct the method and let it learn, where it needs to."""
        try:
            self._method = self._type()
            if self._type.needs_fit:
                self._method.fit(context)
        except Exception as error:  # a plug-in may raise anything
            self._fail(error)

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the method's maps, or zeros once it has failed."""
        if self._method is not None and not self.failure:
            try:
                return self._method.saliency(view)
            except Exception as error:
                self._fail(error)
        batch, classes = view.logits.shape
        return torch.zeros(batch, classes, *view.features.shape[-2:], device=view.logits.device)

    def _fail(self, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
