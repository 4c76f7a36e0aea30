"""What a baseline is handed to learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from camzoo.backbone import Classifier
    from camzoo.cams.pipeline import MapArrays
    from camzoo.config import BenchConfig
    from camzoo.data.slices import ReferenceMasks, TaggedSlices
    from camzoo.progress import Reporter


@dataclass(frozen=True)
class BaselineContext:
    """All that a baseline gets to see while it learns.

    Everything that depends on masks is a function, so that the harness decides what it gives.

    Attributes:
        config: Of the run.
        classifier: The trained P-CAM classifier of the cell; to be copied, never changed.
        train: The tagged training slices, negatives included.
        val: The tagged slices of the validation patients.
        generator: Seeded by the run, on the CPU; with ``seed`` the only source of randomness.
        seed: Of the cell.
        device: Where to compute.
        folder: For checkpoints and other files. It outlives an interruption, so that a second call
            goes on from there, and stays with the result.
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
    generator: torch.Generator
    seed: int
    device: torch.device
    folder: Path
    reporter: Reporter
    maps: Callable[[str], MapArrays]
    val_maps: Callable[[str], MapArrays]
    threshold: Callable[[Tensor | NDArray[np.floating[Any]]], float]
    masks: Callable[[], ReferenceMasks]
