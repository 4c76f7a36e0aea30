"""The step Aff of C-CAM: maps that walk up to learnt edges (IRNet)."""

from __future__ import annotations

from safetensors.torch import save_file
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.config import Precision
from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.network.trunk_levels import starting_point
from camzoo.refine.affinity import (
    AffinitySettings,
    boundary_recipe,
    fit_boundary,
    label_slices,
    refine_slices,
)
from camzoo.refine.boundary import BoundaryNet
from camzoo.refine.confidence import ConfidenceSettings
from camzoo.refine.crf import CrfSettings
from camzoo.refine.scale import LINEAGE_SIDE, pair_radius
from camzoo.steps.base import MapStep, StepContext, StepReport, register_step


@register_step("aff")
class AffinityRefinement(MapStep):
    """Learns edges from what the maps are sure of and lets the maps spread up to them.

    Distances of the lineage (of kernels, of pairs, of steps) are in pixels of 512 x 512 slices and
    shrink with the slices. The trunk is the backbone as its weights came; without weights it is the
    classifier's.

    Args:
        foreground: Maps above this are an organ for sure.
        background: Where all maps are at or below this there is none for sure.
        beta: Exponent of the affinities.
        exp_times: The walk takes 2 to the power of this many steps.
        epochs: Of the boundary network.
    """

    paper = "Ahn et al., CVPR 2019, as used by Chen et al., CVPR 2022"
    cost = "a boundary network on the frozen trunk; then 2 forwards and 1 walk per slice"

    def __init__(
        self,
        foreground: float = 0.8,
        background: float = 0.5,
        beta: float = 10.0,
        exp_times: int = 4,
        epochs: int = 6,
    ) -> None:
        if epochs < 1:
            raise ConfigError(f"aff: epochs must be 1 or more, got {epochs}")
        self._confidence = foreground, background
        self._walk = beta, exp_times
        self._epochs = epochs
        self._settings(LINEAGE_SIDE, "fp32")  # a wrong value is found here

    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:
        """Train the boundary network on positive training slices, then refine all maps."""
        settings = self._settings(context.slices.size, context.config.training.precision)
        trunk = starting_point(
            context.classifier,
            context.config.backbone,
            len(context.slices.organs),
            seed=context.seed,
        )
        network = BoundaryNet(trunk, seed=context.seed)
        checkpoint = context.folder / "checkpoint.safetensors"
        rows = context.positives
        slices = context.slices.at(rows)
        with context.reporter.stage("labels of confident pixels") as tick:
            labels = label_slices(
                source.maps[rows], slices, settings.confidence, device=context.device, tick=tick
            )
        with context.reporter.stage(f"training the boundary network, seed {context.seed}") as tick:
            losses = fit_boundary(
                network, slices, labels, settings,
                seed=context.seed, device=context.device, checkpoint=checkpoint, tick=tick,
            )  # fmt: skip
        _save(network, context)

        def refined(maps: Tensor, which: slice) -> Tensor:
            grey = context.slices.grey(which, context.device)
            return refine_slices(maps, grey, network, settings)

        context.rewrite(source, out, refined)
        checkpoint.unlink()  # only now: whoever is killed before this need not train again
        return StepReport(facts={"loss": losses, "confident": float((labels != UNKNOWN).mean())})

    def _settings(self, side: int, precision: Precision) -> AffinitySettings:
        foreground, background = self._confidence
        beta, exp_times = self._walk
        return AffinitySettings(
            confidence=ConfidenceSettings(
                foreground=foreground,
                background=background,
                foreground_crf=CrfSettings(iterations=1).on_slices(side),
                background_crf=CrfSettings(iterations=0).on_slices(side),
            ),
            training=boundary_recipe(side, epochs=self._epochs, precision=precision),
            training_radius=pair_radius(10, side),
            radius=pair_radius(5, side),
            beta=beta,
            exp_times=exp_times,
        )


def _save(network: BoundaryNet, context: StepContext) -> None:
    """Keep what was trained; the trunk is known."""
    state = {
        **network.branches.state_dict(prefix="branches."),
        **network.edge.state_dict(prefix="edge."),
    }
    tensors = {name: value.cpu().contiguous() for name, value in state.items()}
    save_file(tensors, context.folder / "boundary.safetensors")
