"""What a baseline is handed to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camzoo.core.names import require_name

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from camzoo.cams.map_arrays import MapArrays
    from camzoo.config import BenchConfig, TrainingConfig
    from camzoo.core.progress import Reporter
    from camzoo.data.slices import ReferenceMasks, TaggedSlices
    from camzoo.learning.loop import Epoch, Session
    from camzoo.learning.objectives import Objective
    from camzoo.network.backbone import Classifier, Trainable


@dataclass(frozen=True)
class BaselineContext:
    """All that a baseline gets to see while it learns.

    Everything that depends on masks is a function, so that the harness decides what it gives.

    Attributes:
        config: Settings of the run.
        classifier: A copy of the trained P-CAM classifier of the cell, on ``device`` and in
            evaluation mode.
        train: The tagged training slices, negatives included.
        val: The tagged slices of the validation patients.
        patients: Patient of each training and validation case, by case id.
        generator: Seeded by the run, on the CPU; with ``seed`` the only source of randomness.
        seed: Seed of the cell.
        device: Where to compute.
        folder: Place for checkpoints and other files. It outlives an interruption, so that a second
            call goes on from there, and stays with the result.
        reporter: Told about progress: ``with context.reporter.stage("title") as tick``.
        maps: From the name of a CAM method, one of the baseline's ``reads``, to its finished maps
            of the training slices: rows as in ``train``, gated by tags, normalised. Raises
            ConfigError for other names.
        val_maps: Likewise for the validation slices; rows as in ``val``.
        threshold: From maps of the validation slices, float [n, C, s, s] with rows as in ``val``,
            to the background threshold that is best on validation patients (protocol
            ``validated``). The masks stay inside; only the number comes out.
        masks: Opens the reference masks of the training cases. Raises FirewallError where the
            declared supervision does not include masks.
    """

    config: BenchConfig
    classifier: Classifier
    train: TaggedSlices
    val: TaggedSlices
    patients: Mapping[str, str]
    generator: torch.Generator
    seed: int
    device: torch.device
    folder: Path
    reporter: Reporter
    maps: Callable[[str], MapArrays]
    val_maps: Callable[[str], MapArrays]
    threshold: Callable[[Tensor | NDArray[np.floating[Any]]], float]
    masks: Callable[[], ReferenceMasks]

    def minimise(
        self,
        objective: Objective,
        network: Trainable,
        slices: TaggedSlices,
        recipe: TrainingConfig,
        *,
        name: str,
    ) -> list[Epoch]:
        """Train a network of the baseline's own in place (:func:`camzoo.learning.loop.minimise`).

        Args:
            objective: What to minimise; it runs the network.
            network: Network on the CPU; moved to ``device``.
            slices: What to learn from.
            recipe: How it learns; the classifier's is ``config.training``.
            name: Name of the network, for those who watch, and of its checkpoint in ``folder``
                (:func:`camzoo.core.names.is_name`).

        Returns:
            One record per epoch.

        Raises:
            CamzooError: The loss is no longer finite, or ``name`` is no name.
        """
        from camzoo.learning.loop import minimise
        from camzoo.learning.recipe import sgd

        with self.training(name) as session:
            return minimise(objective, network, slices, sgd(recipe), **session).epochs

    @contextmanager
    def training(self, name: str) -> Iterator[Session]:
        """Give what every training takes besides its network; who watches is told of it.

        Args:
            name: Name of the network, and of its checkpoint in ``folder``.

        Raises:
            CamzooError: ``name`` is no name (:func:`camzoo.core.names.is_name`).
        """
        require_name(name, "the network to train")
        checkpoint = self.folder / f"{name.replace(' ', '-')}.safetensors"
        with self.reporter.stage(f"training {name}, seed {self.seed}") as tick:
            yield {
                "seed": self.seed, "device": self.device, "checkpoint": checkpoint, "tick": tick,
                "note": self.reporter.note,
            }  # fmt: skip
