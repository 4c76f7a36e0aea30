"""Crisp scenes of two organs, with maps that spill over their borders."""

import numpy as np
import torch
import torch.nn.functional as F

from camzoo.cams.map_arrays import MapArrays


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
