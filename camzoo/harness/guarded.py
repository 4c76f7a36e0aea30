"""A method that fails fails its own row, not the run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, FitContext
from camzoo.cams.view import FeatureView
from camzoo.errors import ConfigError
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.harness.kept import Kept


class Guarded(CamMethod):
    """Runs a method; after its first error it gives empty maps and remembers why.

    What is no map is an error of the method, too. Values are not looked at: that would wait for the
    device at every view, and the pipeline marks maps that are not finite. Errors of the machine end
    the run (:mod:`camzoo.harness.faults`), and what a method changes in the process is put back
    (:mod:`camzoo.harness.kept`).

    Args:
        method: To run.
        store: Folder of the run's results.
        seed: Of what the method draws without a generator.

    Attributes:
        failure: The error, or an empty string.
    """

    def __init__(self, method: type[CamMethod], store: Path = Path(), seed: int = 0) -> None:
        self.failure = ""
        self._store = store
        self._kept = Kept(seed)
        self._type = method
        self._method: CamMethod | None = None

    def fit(self, context: FitContext) -> None:
        """Construct the method and let it learn, where it needs to.

        Raises:
            MachineError: There was no memory or no space left for it.
        """
        try:
            with self._kept.apart():
                self._require_classes(len(context.slices.organs))
                self._method = self._type()
                if self._type.needs_fit:
                    self._method.fit(context)
        except PLUGIN_FAULTS as error:
            self._fail(error)

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the method's maps, or zeros once it has failed.

        Raises:
            MachineError: There was no memory or no space left for it.
        """
        if self._method is not None and not self.failure:
            try:
                with self._kept.apart():
                    return _checked(self._method.saliency(view), view)
            except PLUGIN_FAULTS as error:
                self._fail(error)
        batch, classes = view.logits.shape
        return torch.zeros(batch, classes, *view.features.shape[-2:], device=view.logits.device)

    def _require_classes(self, classes: int) -> None:
        least = self._type.min_classes
        if classes < least:
            raise ConfigError(
                f"it compares classes and needs {least}; the classifier has {classes}"
            )

    def _fail(self, error: BaseException) -> None:
        who = f"the method {getattr(self._type, 'name', self._type.__name__)}"
        self.failure = require_own_fault(error, who, self._store)


def _checked(maps: object, view: FeatureView) -> Tensor:
    """Return the maps of a view in float32 if the pipeline can go on with them.

    Raises:
        ConfigError: They are not what :meth:`CamMethod.saliency` has to return.
    """
    (batch, classes), device = view.logits.shape, view.logits.device
    expected = f"expected float maps [{batch}, {classes}, h, w] on {device}"
    if not isinstance(maps, Tensor):
        raise ConfigError(f"{expected}, got {type(maps).__name__}")
    shaped = maps.ndim == 4 and maps.shape[:2] == (batch, classes) and maps.numel() > 0
    if not (shaped and maps.is_floating_point() and maps.device == device):
        kind = str(maps.dtype).removeprefix("torch.")
        raise ConfigError(f"{expected}, got {kind} {list(maps.shape)} on {maps.device}")
    if maps.requires_grad:
        raise ConfigError("the maps hang on a graph; detach them, or they keep its memory")
    return maps.float()
