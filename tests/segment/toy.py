"""A context as the harness makes it, on toy slices with masks that are known."""

import numpy as np
import torch

from camzoo.cams.map_arrays import MapArrays
from camzoo.config import BackboneConfig, BenchConfig, SegmentationConfig
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Quiet
from camzoo.core.supervision import Supervision
from camzoo.data.plane import Plane
from camzoo.data.slices import MaskVault
from camzoo.network.backbone import build_classifier
from camzoo.segment.learning_context import BaselineContext
from tests.toy import toy_slices

TINY = SegmentationConfig(
    side=32, widths=(8, 8, 16, 16, 16), epochs=2, batch=4, rotate=5, jitter=0.1, lr=1e-2,
    precision="fp32",
)  # fmt: skip
MAP_SIDE = 16


def toy_masks(slices):
    """Masks of :func:`tests.toy.toy_slices`: its squares, uint8 [N, S, S]."""
    size = slices.size
    block = size // 4
    masks = np.zeros((len(slices), size, size), np.uint8)
    squares = [
        (slice(block, 2 * block), slice(block // 2, block // 2 + block)),
        (slice(2 * block, 3 * block), slice(2 * block, 3 * block)),
    ]
    for mask, tag in zip(masks, slices.tags, strict=True):
        for c, square in enumerate(squares[: len(tag)]):
            if tag[c]:
                mask[square] = c + 1
    return masks


def toy_maps(slices, side=MAP_SIDE):
    """Maps that are right and strong: 0.9 in the organ, 0.1 around it, gated by tags."""
    step = slices.size // side
    coarse = toy_masks(slices)[:, ::step, ::step]
    classes = slices.tags.shape[1]
    maps = np.stack([np.where(coarse == c + 1, 0.9, 0.1) for c in range(classes)], axis=1)
    maps = (maps * slices.tags[:, :, None, None]).astype(np.float16)
    return MapArrays(maps, (slices.tags == 0).astype(np.uint8), maps.max((2, 3)).astype(np.float32))


def toy_context(
    folder, *, supervision=Supervision.IMAGE, reads=("cam",), organs=("bright", "dark"), count=16,
    threshold=0.5, seed=0, **segmentation,
):  # fmt: skip
    """Build a context whose maps are :func:`toy_maps` and whose masks are the toy's squares."""
    train = toy_slices(count, organs=organs)
    val = toy_slices(8, organs=organs, seed=1)
    config = BenchConfig(
        backbone=BackboneConfig(name="resnet10t", weights="none", frozen=0),
        segmentation=TINY.model_copy(update=segmentation),
    )
    masks = folder / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    for case, start, stop in train.cases:
        np.save(masks / f"{case}.npy", toy_masks(train)[start:stop])

    def read(slices):
        def maps(name):
            if name not in reads:
                raise ConfigError(f"{name} is not among reads")
            return toy_maps(slices)

        return maps

    return BaselineContext(
        config=config,
        classifier=build_classifier(config.backbone, len(organs), seed=seed).eval(),
        train=train,
        val=val,
        patients={case: f"patient of {case}" for case, _, _ in (*train.cases, *val.cases)},
        generator=torch.Generator().manual_seed(seed),
        seed=seed,
        device=torch.device("cpu"),
        folder=folder,
        reporter=Quiet(),
        maps=read(train),
        val_maps=read(val),
        threshold=lambda _maps: threshold,
        masks=lambda: MaskVault(masks, {"a": Plane.AXIAL, "b": Plane.AXIAL}).for_training(
            supervision, ("a", "b"), who="the baseline under test"
        ),
    )
