"""A method that fails fails its own row, not the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from camzoo.cams.asking import harm
from camzoo.cams.base import CamMethod, FitContext
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.core.errors import ConfigError
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.harness.kept import Kept


class Guarded(CamMethod):
    """Runs a method; after its first error it gives empty maps and remembers why.

    What is no map is an error of the method, too. Values are not looked at: that would wait for the
    device at every view, and the pipeline marks maps that are not finite. Errors of the machine end
    the run (:mod:`camzoo.harness.faults`), and what a method changes in the process is put back
    (:mod:`camzoo.harness.kept`). A method that changes the classifier or a view, which others read,
    has failed. While maps are made the pipeline sees to the classifier, and says whom to blame.

    Args:
        method: Method to run.
        store: Folder of the run's results.
        seed: Seed of what the method draws without a generator.
        seal: Seal of the classifier that the method is given.
        settings: Arguments of the method's constructor.

    Attributes:
        failure: The error, or an empty string.
    """

    def __init__(
        self,
        method: type[CamMethod],
        store: Path = Path(),
        seed: int = 0,
        seal: ModelSeal | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.failure = ""
        self._seal = seal
        self._store = store
        self._kept = Kept(seed)
        self._type = method
        self._settings = settings or {}
        self._method: CamMethod | None = None

    def fit(self, context: FitContext) -> None:
        """Construct the method and let it learn, where it needs to.

        Raises:
            MachineError: There was no memory or no space left for it.
        """
        try:
            with self._kept.apart(), self._unchanged():
                self._require_classes(len(context.slices.organs))
                self._method = self._type(**self._settings)
                if self._type.needs_fit:
                    self._method.fit(context)
        except PLUGIN_FAULTS as error:
            self._fail(error)

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the method's maps, or zeros once it has failed.

        Raises:
            MachineError: There was no memory or no space left for it.
        """
        empty = view.logits.new_zeros(*view.logits.shape, *view.features.shape[-2:])
        if self._method is None or self.failure:
            return empty
        try:
            with self._kept.apart():
                maps = _checked(self._method.saliency(view), empty)
        except PLUGIN_FAULTS as error:
            self._fail(error)
            return empty
        changed = view.changes()
        if changed:
            self.blame(changed)
            return empty
        return maps

    def blame(self, changed: str) -> None:
        """Fail the method for what it changed; it is not asked again."""
        self._fail(ConfigError(f"it {harm(changed)}"))

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Fail where the body changes the classifier, and mend it.

        Raises:
            ConfigError: It did, and raised nothing by itself.
        """
        changed = ""
        try:
            yield
        finally:
            if self._seal is not None:
                changed = self._seal.changes(thorough=True)
                if changed:
                    self._seal.restore()
        if changed:
            raise ConfigError(f"it {harm(changed)}")

    def _require_classes(self, classes: int) -> None:
        least = self._type.min_classes
        if classes < least:
            raise ConfigError(
                f"it compares classes and needs {least}; the classifier has {classes}"
            )

    def _fail(self, error: BaseException) -> None:
        who = f"the method {getattr(self._type, 'name', self._type.__name__)}"
        self.failure = require_own_fault(error, who, self._store)


def _checked(maps: object, like: Tensor) -> Tensor:
    """Return maps in float32 if the pipeline can go on with them in the place of ``like``.

    Raises:
        ConfigError: They are not what :meth:`CamMethod.saliency` has to return.
    """
    (batch, classes), device = like.shape[:2], like.device
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
