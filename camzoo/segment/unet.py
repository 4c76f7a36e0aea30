"""The U-Net that all baselines share: MONAI's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from camzoo.core.randomness import seeded

#: Most groups of the normalisation; fewer where the widths do not divide by it.
_GROUPS = 8


def build_unet(classes: int, widths: Sequence[int], *, seed: int) -> nn.Module:
    """Build a 2-D U-Net for grey slices (Ronneberger et al., MICCAI 2015).

    Group normalisation, because batches hold slices with and without organs in changing shares.

    Args:
        classes: Outputs per pixel, background included.
        widths: Channels of the 5 levels, the finest first.
        seed: Seed of the starting weights.

    Returns:
        From [B, 1, s, s] to logits [B, classes, s, s]; s is a multiple of 16.
    """
    from monai.networks.nets.basic_unet import BasicUNet  # takes seconds to import

    with seeded(seed):
        network: nn.Module = BasicUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=classes,
            features=(*widths, widths[0]),
            norm=("group", {"num_groups": math.gcd(_GROUPS, *widths)}),
        )
    return network
