"""Tags that are not a slice's own: what a classifier makes of them it has not learnt from organs.

A map that stays as good when its classifier learns from such tags is not about what was tagged (the
data randomisation test of Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018). With tags
of the same level of another case, the level of a slice is all that can be learnt: organs that lie
at one level in everybody keep their tags, and whether this slice shows them no longer counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from camzoo.config import Tags
from camzoo.core.errors import ConfigError
from camzoo.data.slices import TaggedSlices


def exchange_tags(slices: TaggedSlices, tags: Tags, *, seed: int) -> TaggedSlices:
    """Return slices with the tags that a classifier is to learn from.

    Args:
        slices: Whole cases, with their own tags.
        tags: "own" leaves them; "level" gives every slice those of another case at the same share
            of its slices; "shuffled" exchanges them among all slices at random.
        seed: Says which case gives to which, and which slice.

    Raises:
        ConfigError: There is one case alone, which has no other to take tags of.
    """
    if tags == "own":
        return slices
    generator = np.random.default_rng(seed)
    if tags == "shuffled":
        return replace(slices, tags=generator.permutation(slices.tags, axis=0))
    return replace(slices, tags=slices.tags[_donors(slices, generator)])


def _donors(slices: TaggedSlices, generator: np.random.Generator) -> NDArray[np.int64]:
    """The slice that gives its tags to each, [N]: in a ring of cases each gives to the next."""
    if len(slices.cases) < 2:
        raise ConfigError(
            f"training.tags=level takes tags of another case, and there is {len(slices.cases)} to "
            "learn from"
        )
    ring = generator.permutation(len(slices.cases))
    found = np.zeros(len(slices), np.int64)
    for taker, giver in zip(ring, np.roll(ring, 1), strict=True):
        _, start, stop = slices.cases[taker]
        _, first, end = slices.cases[giver]
        shares = (np.arange(stop - start) + 0.5) / max(1, stop - start)
        found[start:stop] = first + np.floor(shares * (end - first)).astype(np.int64)
    return found
