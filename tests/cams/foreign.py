"""Networks that timm did not build: of torchvision, of MONAI, and written by hand."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

import torch
import torchvision.models as tv
from monai.networks import nets
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CLASSES = 3


class Textbook(nn.Module):
    """The network of the CAM paper: convolutions, average pooling, one linear layer."""

    def __init__(self, channels=3, classes=CLASSES, bias=True):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, classes, bias=bias)

    def forward(self, images):
        return self.fc(self.pool(self.features(images)).flatten(1))


class Dropped(Textbook):
    """Dropout in front of a linear layer without bias."""

    def __init__(self):
        super().__init__(bias=False)

    def forward(self, images):
        return self.fc(F.dropout(self.features(images).mean((2, 3)), 0.5, self.training))


class Convolutional(Textbook):
    """Classifies every place by a 1 x 1 convolution, and pools after it."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Conv2d(16, CLASSES, 1)

    def forward(self, images):
        return self.pool(self.fc(self.features(images)))


class Folded(Textbook):
    """A batch norm between pooling and linear layer: weights that stand in no parameter."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        for values in (self.norm.weight.data, self.norm.bias.data, self.norm.running_mean):
            values.uniform_(0.5, 2)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, images):
        return self.fc(self.norm(self.features(images).mean((2, 3))))

    @property
    def weights(self):
        return self.fc.weight * self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()


class Bare(Textbook):
    """A table [K, C] in the place of a linear layer, and a sum in the place of the mean."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(16, CLASSES))

    def forward(self, images):
        return self.features(images).sum((2, 3)) @ self.table


class Checkpointed(Textbook):
    """Computes its middle again for gradients, to save memory; in its two kinds."""

    def __init__(self, reentrant):
        super().__init__()
        self.reentrant = reentrant
        self.middle = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.Dropout(0.5), nn.ReLU())
        self.late = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())
        self.again = True

    def forward(self, images):
        features = self.features(images)
        for part in (self.middle, self.late):
            features = (
                checkpoint(part, features, use_reentrant=self.reentrant)
                if self.again
                else part(features)
            )
        return self.fc(self.pool(features).flatten(1).tanh())


@dataclass
class Output:
    """As several libraries give it."""

    loss: Tensor | None
    logits: Tensor
    hidden: tuple[Tensor, ...] = ()


class Model(OrderedDict):
    """As Hugging Face gives it: a dictionary whose items are attributes, too."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        super().__setattr__(key, value)


class Encoder(nn.Module):
    """A part that gives a dictionary, of which the rest takes one item."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 4, 1)
        self.body = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())

    def forward(self, images):
        first = self.stem(images).relu()
        return Model(last=self.body(first), first=first)


class Dictionaries(nn.Module):
    """Dictionaries inside and at the end."""

    def __init__(self):
        super().__init__()
        self.encoder, self.fc = Encoder(), nn.Linear(16, CLASSES)

    def forward(self, images):
        given = self.encoder(images)
        pooled = given.last.mean((2, 3)) + 0 * given["first"].mean((2, 3))
        return Model(loss=None, logits=self.fc(pooled), hidden=(given.last,))


def small_vit():
    return tv.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=CLASSES)


def small_swin():
    return tv.SwinTransformer([4, 4], 16, [1, 2], [2, 2], [4, 4], num_classes=CLASSES)


def small_densenet():
    return nets.DenseNet(2, 1, CLASSES, init_features=8, growth_rate=4, block_config=(2, 2))


#: Builder, channels of the image, layer (None: looked for), where the weights of CAM are.
POOLED_LINEAR = {
    "torchvision ResNet": (lambda: tv.resnet18(num_classes=CLASSES), 3, "layer4", "fc"),
    "torchvision ResNet, layer looked for": (
        lambda: tv.resnet18(num_classes=CLASSES), 3, None, "fc",
    ),
    "torchvision MobileNetV2": (
        lambda: tv.mobilenet_v2(num_classes=CLASSES), 3, "features", "classifier.1",
    ),
    "torchvision EfficientNet": (
        lambda: tv.efficientnet_b0(num_classes=CLASSES), 3, "features", "classifier.1",
    ),
    "torchvision ShuffleNetV2": (
        lambda: tv.shufflenet_v2_x0_5(num_classes=CLASSES), 3, "conv5", "fc",
    ),
    "torchvision RegNet": (
        lambda: tv.regnet_y_400mf(num_classes=CLASSES), 3, "trunk_output", "fc",
    ),
    "torchvision GoogLeNet": (
        lambda: tv.googlenet(num_classes=CLASSES, init_weights=False), 3, "inception5b", "fc",
    ),
    "torchvision Swin": (small_swin, 3, "norm", "head"),
    "MONAI DenseNet": (small_densenet, 1, "class_layers.relu", "class_layers.out"),
    "MONAI SEResNet": (
        lambda: nets.SEResNet50(spatial_dims=2, in_channels=3, num_classes=CLASSES), 3, "layer4",
        "last_linear",
    ),
    "MONAI ResNet": (
        lambda: nets.resnet10(spatial_dims=2, n_input_channels=1, num_classes=CLASSES), 1,
        "layer4", "fc",
    ),
    "textbook": (Textbook, 3, "features", "fc"),
    "textbook, layer looked for": (Textbook, 3, None, "fc"),
    "textbook, one class, one channel": (lambda: Textbook(1, 1), 1, "features", "fc"),
    "dropout, no bias": (Dropped, 3, "features", "fc"),
    "1 x 1 convolution": (Convolutional, 3, "features", "fc"),
    "dictionaries": (Dictionaries, 3, "encoder.body", "fc"),
}  # fmt: skip


@cache
def foreign(build):
    """Build a network in which every part does something, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.2)
        for parameter in model.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model


def features_at(model, layer, images):
    """What a layer gives, by a hook of one's own."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.no_grad():
        model(images)
    handle.remove()
    return kept[0]
