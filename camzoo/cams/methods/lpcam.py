"""LPCAM: how much a place looks like parts of the class, and not like what is around it."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.base import CamMethod, FitContext, register_cam
from camzoo.cams.methods.gradient import GradCam
from camzoo.cams.training_views import training_views
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.errors import ConfigError
from camzoo.core.ranges import Real, Whole


@register_cam("lpcam")
class Lpcam(CamMethod):
    """Mean cosine with the prototypes of a class minus mean cosine with those of its context.

    Prototypes are clusters of the features inside and outside the class's maps on positive training
    slices. Which of them are kept is decided, as in the authors' code, by what the classifier says
    of them; of an image made of that one feature, so that any head will do.

    What differs from the paper:

    - Prototypes are judged by the sigmoid of their logit, not by the softmax, since organs occur
      together.
    - At most 10 000 features of a class and side are clustered, not all.

    Args:
        clusters: Clusters inside and outside.
        sample: How many features per class and side are clustered.
        foreground: Share of its maximum above which a place of a training map is inside.
        sure: Probability of the class above which a cluster inside is kept, and below which one
            outside is.
        confusable: Probability of the class above which a cluster outside is kept; the classifier
            does not confuse the others with the class.
    """

    paper = "Chen and Sun, CVPR 2023, with the authors' thresholds"
    cost = "fitting: 1 forward per training slice and k-means; then nothing"
    needs_fit = True

    def __init__(
        self,
        clusters: int = 12,
        sample: int = 10_000,
        foreground: float = 0.1,
        sure: float = 0.9,
        confusable: float = 0.05,
    ) -> None:
        Whole(1, 10_000).require("lpcam: clusters", clusters)
        Whole(1, 10_000_000).require("lpcam: sample", sample)
        Real(0, 1).require("lpcam: foreground", foreground)
        Real(0, 1).require("lpcam: sure", sure)
        Real(0, 1).require("lpcam: confusable", confusable)
        self.clusters, self.sample, self.foreground = clusters, sample, foreground
        self.sure, self.confusable = sure, confusable
        self._direction: Tensor | None = None

    def fit(self, context: FitContext) -> None:
        """Cluster the features of the training slices."""
        # One seed for all classes: their order changes nothing.
        seed = int(torch.randint(2**31, (), generator=context.generator))
        inside, outside, view = self._collect(context, seed)
        directions = []
        for c, (own, other) in enumerate(zip(inside, outside, strict=True)):
            parts = k_means(own, self.clusters, seed)
            around = k_means(other, self.clusters, seed)
            directions.append(self._towards(view, c, parts, around))
        self._direction = torch.stack(directions)

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the difference of similarities."""
        if self._direction is None:
            raise ConfigError("lpcam has to be fitted on training slices first")
        unit = F.normalize(view.features, dim=1)
        return torch.einsum("ck,bkhw->bchw", self._direction.to(unit), unit)

    def _collect(
        self, context: FitContext, seed: int
    ) -> tuple[list[Tensor], list[Tensor], FeatureView]:
        """Return per class a sample of features [n, K] inside and outside, and some view."""
        positives = torch.from_numpy(context.slices.tags).sum(0).tolist()
        inside: list[list[Tensor]] = [[] for _ in positives]
        outside: list[list[Tensor]] = [[] for _ in positives]
        view = None
        seeds = itertools.count(seed)  # every slice is sampled at other places
        for view, tags in training_views(context):
            draws = [next(seeds) for _ in tags]
            maps = GradCam()(view).relu()
            own = maps > self.foreground * maps.amax((2, 3), keepdim=True)
            for b, c in tags.nonzero().tolist():
                features, share = view.features[b].flatten(1).T, -(-self.sample // positives[c])
                where = own[b, c].flatten()
                inside[c].append(_draw(features[where], share, draws[b]))
                outside[c].append(_draw(features[~where], share, draws[b]))
        if view is None:
            raise ConfigError("lpcam needs training slices with an organ, and there are none")
        empty = [view.features.new_zeros(0, view.features.shape[1])]
        return (
            [torch.cat(x or empty) for x in inside],
            [torch.cat(x or empty) for x in outside],
            view,
        )

    def _towards(self, view: FeatureView, c: int, parts: Tensor, around: Tensor) -> Tensor:
        """Mean unit prototype of the class minus that of its context, [K]."""
        if not len(parts):
            return view.features.new_zeros(view.features.shape[1])
        belief = _belief(view, parts, c)
        surely = belief > self.sure
        kept = parts[surely] if surely.any() else parts[belief.argmax()][None]
        doubt = _belief(view, around, c)
        context = around[(doubt > self.confusable) & (doubt < self.sure)]
        return F.normalize(kept, dim=1).mean(0) - F.normalize(context, dim=1).sum(0) / max(
            1, len(context)
        )


def k_means(points: Tensor, clusters: int, seed: int, rounds: int = 50) -> Tensor:
    """Return at most ``clusters`` means [k, K] of points [n, K], grouped by cosine similarity."""
    centres = _draw(points, clusters, seed)
    if not len(points):
        return centres
    unit, nearest = F.normalize(points, dim=1), None
    for _ in range(rounds):
        assigned = (unit @ F.normalize(centres, dim=1).T).argmax(1)
        if nearest is not None and torch.equal(assigned, nearest):
            break
        nearest = assigned
        members = F.one_hot(nearest, len(centres)).to(points)
        counts = members.sum(0)
        means = members.T @ points / counts.clamp(min=1)[:, None]
        centres = torch.where(counts[:, None] > 0, means, centres)
    return centres


def _belief(view: FeatureView, prototypes: Tensor, c: int) -> Tensor:
    """Probability of the class for features that are the same prototype everywhere, [k]."""
    grid = view.features.shape[2:]
    rows = torch.zeros(len(prototypes), dtype=torch.long, device=prototypes.device)
    logits = view.head(prototypes[:, :, None, None].expand(-1, -1, *grid), rows)
    return logits[:, c].sigmoid()


def _draw(rows: Tensor, count: int, seed: int) -> Tensor:
    """Return ``count`` different rows at random, or all if there are fewer."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:count].to(rows.device)]
