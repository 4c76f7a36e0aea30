"""A classifier that learns in seconds, and a context that holds it."""

import itertools

import torch
from torch import nn

from camzoo.config import MapsConfig, TrainingConfig
from camzoo.network.backbone import Classifier
from tests.segment.toy import toy_context

RECIPE = TrainingConfig(
    epochs=40, batch=8, crop=64, resize=(64, 64), lr=0.05, head_factor=1, momentum=0.9,
    flip="never", precision="fp32", clip=5.0,
)  # fmt: skip


class TinyNet(nn.Module):
    """Four strided convolutions behind the seam of timm's classifiers."""

    def __init__(self, classes):
        super().__init__()
        widths = (3, 8, 16, 16, 32)
        self.stages = nn.ModuleList(
            nn.Conv2d(first, second, 3, 2, 1) for first, second in itertools.pairwise(widths)
        )
        for stage in self.stages:
            nn.init.kaiming_normal_(stage.weight, nonlinearity="relu")
        self.fc = nn.Linear(widths[-1], classes, bias=False)

    def forward_intermediates(self, images, indices=None, intermediates_only=False, **_):
        outputs = []
        for stage in self.stages:
            images = stage(images).relu()
            outputs.append(images)
        chosen = outputs if indices is None else [outputs[index] for index in indices]
        return chosen if intermediates_only else (images, chosen)

    def forward_features(self, images):
        return self.forward_intermediates(images)[0]

    def forward_head(self, features, pre_logits=False):
        pooled = features.mean((2, 3))
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, images):
        return self.forward_head(self.forward_features(images))

    def get_classifier(self):
        return self.fc


def tiny_classifier(classes=2):
    torch.manual_seed(0)
    return Classifier(TinyNet(classes), (0.45,) * 3, (0.2,) * 3, frozen_norm=False)


def tiny_context(folder, recipe, **changes):
    """A toy context with the tiny classifier, and a record of the maps that were judged."""
    context = toy_context(folder, **changes)
    settings = {
        "training": recipe,
        "maps": MapsConfig(side=64, scales=(1.0, 1.5), size=16, batch=8),
    }
    judged = []
    for name, value in {
        "classifier": tiny_classifier(len(context.train.organs)),
        "config": context.config.model_copy(update=settings),
        "threshold": lambda maps: judged.append(maps) or 0.4,
    }.items():
        object.__setattr__(context, name, value)
    return context, judged
