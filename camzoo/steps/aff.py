"""The step Aff of C-CAM: maps that walk up to learnt edges (IRNet)."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.learning.checkpoint import CHECKPOINT, save_tensors
from camzoo.learning.loop import small_memory
from camzoo.network.trunk_levels import starting_point
from camzoo.refine.affinity import AffinitySettings, fit_boundary, label_slices, refine_slices
from camzoo.refine.boundary import BoundaryNet
from camzoo.refine.scale import LINEAGE_SIDE
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
        epochs: Epochs of the boundary network; more where they come to fewer steps than the
            recipe of the classifier asks for.
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
        self._settings = partial(
            AffinitySettings.on_slices, confidence=(foreground, background), background_crf=0,
            walk=(beta, exp_times), epochs=epochs,
        )  # fmt: skip
        self._settings(LINEAGE_SIDE)  # a wrong value is found here

    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:
        """Train the boundary network on positive training slices, then refine all maps."""
        shared = context.training
        settings = self._settings(
            context.slices.size, steps=shared.steps, precision=shared.precision
        )
        trunk = starting_point(
            context.classifier,
            context.backbone,
            len(context.slices.organs),
            seed=context.seed,
        )
        network = BoundaryNet(trunk, seed=context.seed)
        checkpoint = context.folder / CHECKPOINT
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
                note=context.reporter.note,
            )  # fmt: skip
        _save(network, context)

        def refined(maps: Tensor, which: slice) -> Tensor:
            grey = context.slices.grey(which, context.device)
            return refine_slices(maps, grey, network, settings)

        context.rewrite(source, out, refined)
        facts = {
            "loss": losses,
            "confident": float((labels != UNKNOWN).mean()),
            **small_memory(context.folder),
        }
        checkpoint.unlink()  # only now: whoever is killed before this need not train again
        return StepReport(facts=facts)


def _save(network: BoundaryNet, context: StepContext) -> None:
    """Keep what was trained; the trunk is known."""
    state = {
        **network.branches.state_dict(prefix="branches."),
        **network.edge.state_dict(prefix="edge."),
    }
    save_tensors(context.folder / "boundary.safetensors", state)
