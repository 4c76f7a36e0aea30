"""How much there is to compute for a result: what times grow with, stage by stage.

Two results of one kind take times in proportion to their amounts. A kind names what changes the
time of one unit: the network, the precision, the method.
"""

from __future__ import annotations

from camzoo.cams.pipeline import input_side
from camzoo.config import BenchConfig
from camzoo.core.spec import Spec
from camzoo.evaluate.rows import line_name
from camzoo.harness.store import Work


def prepare_work(config: BenchConfig, cases: int) -> Work:
    """Cases that are read."""
    return Work(f"{config.data.name} {config.data.size}", cases)


def train_work(config: BenchConfig, slices: int) -> Work:
    """Pixels that go forward and backward through the classifier."""
    training = config.training
    return Work(_network(config), slices * training.epochs * training.crop**2)


def maps_work(config: BenchConfig, method: str, slices: int, *, mirrored: bool) -> Work:
    """Pixels of all views."""
    sides = [input_side(config.maps.side, scale) for scale in config.maps.scales]
    views = sum(side**2 for side in sides) * (2 if mirrored else 1)
    return Work(f"{method} on {_network(config)}", slices * views)


def step_work(config: BenchConfig, step: str, slices: int) -> Work:
    """Pixels of the maps."""
    return Work(f"{step} on {_network(config)}", slices * config.maps.size**2)


def curves_work(config: BenchConfig, slices: int, organs: int) -> Work:
    """Slices, organs and thresholds."""
    return Work("sweep", slices * organs * len(config.evaluation.thresholds))


def scores_work(config: BenchConfig, slices: int, organs: int) -> Work:
    """Slices, organs and protocols."""
    return Work("distances", slices * organs * len(config.evaluation.protocols))


def segment_work(config: BenchConfig, baseline: Spec, slices: int) -> Work:
    """Pixels that go forward and backward through the U-Net."""
    unet = config.segmentation
    kind = f"{line_of(baseline)} on {_network(config)}, {unet.widths}, {unet.precision}"
    return Work(kind, slices * unet.epochs * unet.side**2)


def line_of(baseline: Spec) -> str:
    """How tables call a baseline."""
    return line_name(baseline.name, baseline.variant)


def labels_work(slices: int, organs: int) -> Work:
    """Slices and organs."""
    return Work("labels", slices * organs)


def _network(config: BenchConfig) -> str:
    return f"{config.backbone.name} in {config.training.precision}"
