"""Crisp scenes of two organs, with maps that spill over their borders."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from camzoo.cams.map_arrays import MapArrays
from tests.segment.toy import MAP_SIDE, toy_context, toy_maps


def spilt_maps(truth, side=32, spill=21):
    """Maps [N, 2, side, side] of labels 1 and 2 in [N, S, S], blurred, with maxima of 1."""
    masks = torch.stack([torch.from_numpy(truth == c) for c in (1, 2)], dim=1).float()
    blurred = F.avg_pool2d(masks, spill, 1, spill // 2)
    small = F.interpolate(blurred, size=(side, side), mode="area")
    maps = (small / small.amax((2, 3), keepdim=True)).numpy().astype(np.float16)
    return MapArrays(maps, np.zeros(maps.shape[:2], np.uint8), maps.max((2, 3)).astype(np.float32))


def best_dice(maps, truth):
    """Largest mean DSC of the two over thresholds, on the grid of the maps [N, 2, s, s]."""
    step = truth.shape[-1] // maps.shape[-1]
    masks = np.stack([truth[:, ::step, ::step] == c for c in (1, 2)], axis=1)
    found = []
    for threshold in np.arange(0.1, 0.95, 0.05):
        cut = maps > threshold
        both = (cut & masks).sum((2, 3))
        found.append((2 * both / (cut.sum((2, 3)) + masks.sum((2, 3)))).mean())
    return max(found)


def cores_context(folder, **segmentation):
    """A toy context whose maps are sure of a quarter of each square, and of what lies far off.

    The slices have no noise, so that edges are all that a CRF finds in them.
    """
    context = toy_context(folder, lr=1e-2, rotate=0, flip="never", **segmentation)
    for slices in (context.train, context.val):
        slices.store[(slices.store >= 90) & (slices.store < 130)] = 110
    core, near = np.zeros((2, MAP_SIDE, MAP_SIDE), bool)
    core[5:7, 3:5] = core[9:11, 9:11] = True
    near[2:10, :8] = near[6:14, 6:14] = True
    maps = toy_maps(context.train)
    levels = np.where(core, maps.maps, np.where(near, 0.6 * (maps.maps > 0), 0))
    sure = MapArrays(levels.astype(np.float16), maps.status, maps.peak)
    return replace(context, maps=lambda _: sure)
