"""The step of category causality: retrain on positive slices with the context, make maps anew."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.pipeline import make_maps
from camzoo.cams.registry import cams
from camzoo.config import TrainingConfig
from camzoo.core.errors import ConfigError
from camzoo.core.spec import build
from camzoo.core.supervision import Supervision
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.checkpoint import CHECKPOINT, save_tensors
from camzoo.learning.loop import minimise, small_memory
from camzoo.learning.recipe import sgd
from camzoo.steps.base import MapStep, StepContext, StepReport, register_step
from camzoo.steps.ccam.category import CategoryAttention
from camzoo.steps.ccam.causal import CausalCam, CausalClassifier, CausalLoss
from camzoo.steps.ccam.context_source import ContextSource
from camzoo.steps.ccam.global_context import ContextMap, coarse_masks, resized

_CHUNK = 64
_GRID, _DIM = 64, 16
#: Methods that are CAM on pooling and a linear head: w_c M_c is on the scale of their maps.
_SAME_SCALE = frozenset({"cam", "grad-cam", "hires-cam", "xgrad-cam"})


@register_step("cc")
class CategoryCausality(MapStep):
    """Trains P-CAM again on positive slices, with the blended context as one more channel.

    Two things change at once: the context comes in, and the network is trained a second time, on
    positives only, at a lower rate, with a fresh head. ``map="none"`` does the second without the
    first: the control that tells them apart.

    Args:
        map: Coarse masks that the context counts: "A" predictions, "B" references (an oracle),
            "none" for no context at all.
        grid: Side of the grid of Phi, Theta and the context.
        dim: Dimensions in which coarse mask and context are compared.
        faithful: Grid 512 and one dimension, as in the authors' later code.
        paper_like: Leave the context where it is when a slice is cropped or mirrored, as there.
        per_class: Divide the context of each class by the slices that have it, not by all.
        threshold: Background threshold of the coarse masks.
        rate: Learning rate, as a share of the classifier's.
    """

    remakes = True
    paper = "Chen et al., CVPR 2022, eqs. 1 to 3"
    cost = "a second training, on positives; then the maps once more"

    def __init__(
        self,
        map: Literal["A", "B", "none"] = "A",  # noqa: A002 - the paper's word
        grid: int = _GRID,
        dim: int = _DIM,
        faithful: bool = False,
        paper_like: bool = False,
        per_class: bool = False,
        threshold: float = 0.5,
        rate: float = 0.1,
    ) -> None:
        if map not in ("A", "B", "none"):
            raise ConfigError(f"cc: map is A (predictions), B (masks) or none, got {map}")
        if faithful and (grid, dim) != (_GRID, _DIM):
            raise ConfigError("cc: faithful sets grid and dim; leave those out")
        if min(grid, dim) < 1 or rate <= 0:
            raise ConfigError(
                f"cc: grid, dim and rate must be positive, got {grid}, {dim} and {rate}"
            )
        self._without = map == "none"
        self._source = ContextSource("cc", "A" if self._without else map, threshold)
        self._grid, self._dim = (512, 1) if faithful else (grid, dim)
        self._aligned, self._per_class = not paper_like, per_class
        self._threshold, self._rate = threshold, rate

    @property
    def supervision(self) -> Supervision:
        """Tags for map A, masks for map B."""
        return self._source.supervision

    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:  # noqa: ARG002 - the step starts from the base
        """Retrain, and fill ``out`` with the maps of the retrained network.

        Raises:
            ConfigError: The method at the head of the chain learns from slices itself.
            DataError: No training slice shows an organ.
        """
        if cams.get(context.method.name).needs_fit:
            raise ConfigError(
                f"cc makes the maps of {context.method} again with another network, but "
                f"{context.method} has to be fitted; put cc behind a method that has not"
            )
        counted = self._source.context_map(context)
        prior = self._prior(counted).to(context.device)
        coarse = self._coarse(context)
        network = self._network(context)
        start = network.weight.tolist()
        self._train(context, network, prior, coarse)
        shares = self._attention(network, coarse, prior)
        method = self._map(context, network, shares, prior, out)
        small = small_memory(context.folder)
        # Only now: whoever is killed before this need not retrain.
        (context.folder / CHECKPOINT).unlink()
        if self._without:
            return StepReport(facts=small)
        return StepReport(
            notes=_notes(len(counted.organs), context.method.name),
            facts={
                "weight": network.weight.tolist(),
                "weight_start": start,
                "ratio": method.ratio,
                "attention": shares[context.positives].mean(dim=0).tolist(),
                "slices": counted.slices,
                "never_found": list(counted.never_found),
                **small,
            },
        )

    def _prior(self, counted: ContextMap) -> Tensor:
        """M_GC on the grid, [C, grid, grid]; zero everywhere for no context."""
        prior = resized(counted.frequency(per_class=self._per_class)[None], self._grid)[0]
        return torch.zeros_like(prior) if self._without else prior

    def _coarse(self, context: StepContext) -> Tensor:
        """Coarse masks of all slices on the grid, uint8 [N, grid, grid]."""
        rows = np.arange(len(context.slices))
        labels = torch.from_numpy(coarse_masks(context.base.maps, self._threshold, rows))
        side = (self._grid, self._grid)
        small = F.interpolate(labels[:, None], size=side, mode="nearest-exact")[:, 0]
        return small.to(context.device)

    def _network(self, context: StepContext) -> CausalClassifier:
        attention = CategoryAttention(self._grid, self._dim, seed=context.seed + 1)
        return CausalClassifier(context.classifier, attention, context.seed)

    def _train(
        self, context: StepContext, network: CausalClassifier, prior: Tensor, coarse: Tensor
    ) -> None:
        rows = context.positives
        slices = context.slices.at(rows)
        config = retraining(context.training, self._rate)
        ranges = Augmentation.of(config, sided=slices.sided)
        loss = CausalLoss(network, coarse[rows], prior, self._aligned, ranges, config.precision)
        title = f"retraining on {len(rows)} positive slices, seed {context.seed}"
        with context.reporter.stage(title) as tick:
            minimise(
                loss, network, slices, sgd(config),
                seed=context.seed, device=context.device,
                checkpoint=context.folder / CHECKPOINT, tick=tick, note=context.reporter.note,
            )  # fmt: skip
        save_tensors(context.folder / "network.safetensors", network.state_dict())
        network.eval()

    @torch.inference_mode()
    def _attention(self, network: CausalClassifier, coarse: Tensor, prior: Tensor) -> Tensor:
        """Attention of every slice, [N, C]."""
        parts = [
            network.attention(part, prior.expand(len(part), -1, -1, -1))
            for part in coarse.split(_CHUNK)
        ]
        return torch.cat(parts)

    def _map(
        self,
        context: StepContext,
        network: CausalClassifier,
        shares: Tensor,
        prior: Tensor,
        out: MapArrays,
    ) -> CausalCam:
        method = CausalCam(
            build(context.method, cams), network.weight.detach(), shares, prior,
            aligned=self._aligned,
        )  # fmt: skip
        with context.reporter.stage(f"maps of the retrained network, seed {context.seed}") as tick:
            make_maps(
                network.classifier, {"": method}, context.slices, context.pipeline, {"": out},
                layer=context.backbone.layer, precision=context.training.precision, tick=tick,
            )  # fmt: skip
        return method


def _notes(classes: int, method: str) -> tuple[str, ...]:
    constant = ("attention constant",) if classes == 1 else ()
    scale = () if method in _SAME_SCALE else ("prior on another scale",)
    return (*constant, *scale)


def retraining(config: TrainingConfig, rate: float) -> TrainingConfig:
    """The recipe of the second training: a lower rate, every positive slice once per epoch."""
    return config.model_copy(update={"lr": config.lr * rate, "rare": 0.0})
