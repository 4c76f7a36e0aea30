"""The worker of the classifier."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file

from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.core.files import write_text
from camzoo.core.progress import Tick
from camzoo.core.stored import read_json, read_tensors, reading
from camzoo.data.slices import TaggedSlices
from camzoo.learning.exchanged_tags import exchange_tags
from camzoo.learning.loop import fit
from camzoo.network.backbone import Classifier, build_classifier

_WEIGHTS: Final = "classifier.safetensors"
_HISTORY: Final = "history.json"
_CHECKPOINT: Final = "checkpoint.safetensors"
#: Records of the epochs, as they are stored.
_EPOCHS: Final = TypeAdapter(list[dict[str, Any]])


def train_classifier(
    folder: Path,
    slices: TaggedSlices,
    backbone: BackboneConfig,
    training: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    tick: Tick,
    note: Callable[[str], None],
) -> None:
    """Train a classifier on the tags of slices, from the last epoch that ``folder`` holds."""
    classifier = build_classifier(backbone, len(slices.organs), seed=seed)
    history = fit(
        classifier,
        exchange_tags(slices, training.tags, seed=seed),
        training,
        seed=seed,
        device=device,
        checkpoint=folder / _CHECKPOINT,
        tick=tick,
        note=note,
    )
    state = {name: value.cpu().contiguous() for name, value in classifier.state_dict().items()}
    save_file(state, folder / _WEIGHTS)
    write_text(folder / _HISTORY, json.dumps([asdict(epoch) for epoch in history]))
    (folder / _CHECKPOINT).unlink()


def read_classifier(
    folder: Path, backbone: BackboneConfig, classes: int, *, seed: int
) -> tuple[Classifier, list[dict[str, Any]]]:
    """Read a classifier that was trained, in evaluation mode, and its history."""
    classifier = build_classifier(backbone, classes, seed=seed)
    with reading(folder / _WEIGHTS):
        classifier.load_state_dict(read_tensors(folder / _WEIGHTS))
    return classifier.eval(), read_json(folder / _HISTORY, _EPOCHS)
