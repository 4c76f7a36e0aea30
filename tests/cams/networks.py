"""Networks for the tests: two whose features are the images, and lively ones from timm."""

import timm
import torch
from torch import nn

#: Options that make networks of these families small.
SMALL_DENSENET = {"block_config": (2, 2, 3, 2), "growth_rate": 8}
SMALL_SWIN = {
    "embed_dim": 24, "depths": (1, 1, 1, 2), "num_heads": (1, 2, 2, 2), "img_size": (64, 96),
}  # fmt: skip
SMALL_RESNET = {"channels": (8, 8, 16, 16)}
SMALL_VIT = {"depth": 2, "embed_dim": 48}


class GivenFeatures(nn.Module):
    """Pooling and a linear layer on features that are the images themselves."""

    def __init__(self, weight, bias=None):
        super().__init__()
        weight = torch.as_tensor(weight, dtype=torch.float32)
        self.fc = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        self.fc.weight.data.copy_(weight)
        if bias is not None:
            self.fc.bias.data.copy_(torch.as_tensor(bias))

    def get_classifier(self):
        return self.fc

    def forward_features(self, images):
        return images * 1

    def forward_head(self, features):
        return self.fc(features.mean((2, 3)))

    def forward(self, images):
        return self.forward_head(self.forward_features(images))


class SquaredFeatures(GivenFeatures):
    """y_c = sum_k w_ck sum_ij A_kij^2 / 2, so that dy_c/dA_kij = w_ck A_kij = (H A)_kij."""

    def forward_head(self, features):
        return (features**2 / 2).sum((2, 3)) @ self.fc.weight.T


def lively(name, classes=4, seed=0, **options):
    """A timm network in which every part does something, unlike at initialisation.

    timm starts residual branches at zero and biases at nothing; a test would not see them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(name, pretrained=False, num_classes=classes, **options)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.2)
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter.data.add_(torch.randn_like(parameter) * 0.3)
        nn.init.normal_(model.get_classifier().weight, std=0.5)
    return model.eval()


def pictures(count=2, height=64, width=96, channels=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, height, width, generator=generator)


def unit(maps):
    """Stretch every map to [0, 1]: what pytorch-grad-cam and torch-cam do, the ReLU apart."""
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low)
