"""Segment Anything 2 as others trained it: read from a folder or a hub, asked with prompts.

Ravi et al., "SAM 2: Segment Anything in Images and Videos", arXiv 2408.00714, as the library
transformers has it, which is imported when weights are read and not before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camzoo.config import Precision
from camzoo.core.errors import ConfigError
from camzoo.network.precision import autocast
from camzoo.refine.prompts import Prompts

#: Names of the hub that is meant: an owner's model.
_MODEL: Final = re.compile(r"[\w.-]+/[\w.-]+")
#: A commit in full. Branches and tags move, and what was read would not be known.
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_FORMAT: Final = "config.json, preprocessor_config.json and model.safetensors of a Sam2Model"


@dataclass(frozen=True)
class SamWeights:
    """Where weights of Segment Anything 2 are.

    Attributes:
        place: A folder in the format of transformers, or OWNER/MODEL of the hub that it reads.
        revision: Commit of a model of the hub; empty for a folder, whose content says what it is.
    """

    place: str
    revision: str = ""

    def __post_init__(self) -> None:
        if self.folder is not None:
            if self.revision:
                raise ConfigError(
                    f"the weights {self.place} are a folder, and revision={self.revision} is for "
                    "models of a hub: leave it out"
                )
        elif not _MODEL.fullmatch(self.place):
            raise ConfigError(
                f"there are no weights of Segment Anything at {self.place!r}: give a folder with "
                f"{_FORMAT}, or OWNER/MODEL of the hub with revision=COMMIT"
            )
        elif not _COMMIT.fullmatch(self.revision):
            raise ConfigError(
                f"{self.place} is no folder here, and as a model of the hub it needs "
                f"revision=COMMIT, the 40 digits of a commit, got {self.revision!r}: what a branch "
                "or tag stands for may change"
            )

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one."""
        path = Path(self.place).expanduser()
        return path if self.place and path.is_dir() else None


@dataclass(frozen=True)
class Answers:
    """What Segment Anything made of prompts: M masks for each.

    Attributes:
        logits: float32 [B, C, M, u, v]; positive inside. The grid covers the whole slice.
        quality: The overlap (IoU) with the true mask that it expects, float32 [B, C, M].
    """

    logits: Tensor
    quality: Tensor


class SegmentAnything:
    """Segment Anything 2, frozen.

    Args:
        model: A ``Sam2Model`` of transformers, on the device that it computes on.
        side: Side in pixels of the square that slices are brought to.
        mean: Mean per channel of images on [0, 1] that it was trained with.
        std: Standard deviation likewise.
    """

    def __init__(
        self, model: nn.Module, side: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        self._model, self._side = model.eval(), side
        device = next(model.parameters()).device
        self._mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, device=device).view(1, -1, 1, 1)

    @classmethod
    def load(cls, weights: SamWeights, device: torch.device) -> SegmentAnything:
        """Read weights, and what images they were trained with.

        Raises:
            ConfigError: transformers is not installed, or there are no such weights.
        """
        try:
            from transformers import Sam2ImageProcessor, Sam2Model
        except ImportError as error:
            raise ConfigError(
                f"the step sam needs transformers, which cannot be imported ({error}): "
                "pip install 'camzoo[sam]'"
            ) from error
        place = weights.folder or weights.place
        where = {"revision": weights.revision} if weights.revision else {"local_files_only": True}
        try:
            with _silent():
                images = Sam2ImageProcessor.from_pretrained(place, **where)
                model, told = Sam2Model.from_pretrained(
                    place, dtype=torch.float32, use_safetensors=True, output_loading_info=True,
                    **where,
                )  # fmt: skip
        except MemoryError:
            raise
        except Exception as error:  # a damaged file makes readers fail in any way
            raise ConfigError(
                f"no weights of Segment Anything 2 could be read from {weights.place} "
                f"({_first_line(error)}): it needs {_FORMAT}; where there is no network, download "
                "them elsewhere and give the folder"
            ) from error
        _require_whole(told, weights.place)
        side = int(model.config.prompt_encoder_config.image_size)
        return cls(model.to(device), side, tuple(images.image_mean), tuple(images.image_std))

    def normalise(self, grey: Tensor) -> Tensor:
        """Bring slices to the images that it was trained on, as its own processor would.

        All three channels are the slice, stretched to a square.

        Args:
            grey: On [0, 1], [B, H, W].

        Returns:
            float32 [B, 3, side, side].
        """
        square = F.interpolate(
            grey[:, None], (self._side, self._side), mode="bilinear", antialias=True,
            align_corners=False,
        )  # fmt: skip
        return (square - self._mean) / self._std

    @torch.inference_mode()
    def ask(self, grey: Tensor, prompts: Prompts, precision: Precision = "fp32") -> Answers:
        """Ask for the masks that prompts mean: each slice is encoded once, for all of its prompts.

        Args:
            grey: Slices on [0, 1], [B, H, W], on the device of the network.
            prompts: C prompts for each of them.
            precision: What to compute in.
        """
        with autocast(grey.device, precision):
            told = self._model(
                pixel_values=self.normalise(grey),
                input_points=self._pixels(prompts.points),
                input_labels=prompts.labels,
                input_boxes=self._pixels(prompts.boxes),
                multimask_output=True,
            )
        return Answers(told.pred_masks.float(), told.iou_scores.float())

    def _pixels(self, shares: Tensor | None) -> Tensor | None:
        """Places in the network's pixels, whose middles are whole numbers."""
        return None if shares is None else shares * self._side - 0.5


def _require_whole(told: dict[str, Any], place: str) -> None:
    """Refuse weights of another network: what is missing would be drawn at random.

    Raises:
        ConfigError: A tensor is missing, or of another shape.
    """
    wrong = {
        "missing": sorted(told["missing_keys"]),
        "of another shape": sorted(str(key) for key in told["mismatched_keys"]),
    }
    for what, names in wrong.items():
        if names:
            raise ConfigError(
                f"{place} holds no Segment Anything 2: {len(names)} tensors are {what} "
                f"({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
            )


@contextmanager
def _silent() -> Iterator[None]:
    """Read weights without the library's bars of progress, and without its word on other keys."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"
