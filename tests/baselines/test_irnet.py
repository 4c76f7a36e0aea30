import numpy as np
import torch

from camzoo.cams.map_arrays import MapArrays
from camzoo.core.progress import Quiet
from camzoo.core.spec import Spec
from camzoo.network.backbone import build_classifier
from camzoo.registries import baselines
from camzoo.steps.base import StepContext
from camzoo.steps.chain import parse_chain
from tests.baselines.scenes import best_dice, spilt_maps
from tests.harness.test_run import TINY
from tests.refine.test_affinity import scenes

#: A network whose untrained features tell more than those of the smallest.
SEEING = {
    "backbone.name": "resnet10t", "training.precision": "fp32",
    "training.lr": 0.02, "training.batch": 16,
}  # fmt: skip


def refined(method, slices, maps, folder):
    """What the only step of a chain reports, and its maps."""
    config = TINY.changed(SEEING)
    classifier = build_classifier(config.backbone, 2, seed=0)
    context = StepContext(
        slices, np.arange(len(slices)), Spec("cam"), maps, classifier, config.backbone,
        config.training, config.maps, 0, torch.device("cpu"), folder, Quiet(), lambda side: None,
    )  # fmt: skip
    out = MapArrays.empty(*maps.maps.shape[:3])
    (step,) = parse_chain(method).built
    return step.apply(maps, context, out), out


def test_maps_that_spill_over_walk_inside_edges_and_not_across(tmp_path):
    slices, truth = scenes(count=12)
    maps = spilt_maps(truth)
    (method,) = baselines.get("irnet")().reads
    crisp = f"{method}:epochs=20:foreground=0.7:background=0.3"
    report, out = refined(crisp, slices, maps, tmp_path)
    assert report.facts["loss"][-1] < 0.7 * report.facts["loss"][0]
    assert best_dice(out.maps, truth) > best_dice(maps.maps, truth) + 0.02


def test_settings_of_the_refinement_are_another_chain():
    assert baselines.get("irnet")("cam[aff]:beta=5").reads == ("cam[aff]:beta=5",)
