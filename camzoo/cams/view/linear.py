"""Heads that are average pooling and a linear layer: everything about them has a closed form.

With logits y_c = sum_k w_ck mean(A_k) + b_c the gradient dy_c/dA_k is w_ck / (h w) at every place,
and zeroing channel k takes w_ck mean(A_k) away. Whether a head is of that kind is not read off its
class, which could hide a norm or an activation, but tried out on random features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from camzoo.cams.view.cut import same_logits
from camzoo.cams.view.network_pass import NetworkPass
from camzoo.network.heads import classifier_of
from camzoo.network.isolation import grad_mode


@dataclass(frozen=True)
class Readout:
    """Where the weights w_ck of the logits for the pooled channels are kept.

    Attributes:
        source: A parameter of the network, or weights that were measured where none is the same.
        transposed: Whether it is [K, C] rather than [C, K].
    """

    source: Tensor
    transposed: bool = False

    def weights(self) -> Tensor:
        """Return a copy [C, K], float32."""
        table = self.source.detach().squeeze(3, 2) if self.source.ndim == 4 else self.source
        return (table.detach().T if self.transposed else table.detach()).float().clone()


def _random(seen: NetworkPass, count: int) -> Tensor:
    """Features [count, K, h, w] of unlike scale, the same at every call."""
    (layout,) = seen.layouts
    generator = torch.Generator().manual_seed(0)
    features = torch.randn((count, layout.channels, *layout.grid), generator=generator)
    features[1] *= 10
    return features.to(seen.output(0))


def _logits(seen: NetworkPass, features: Tensor, row: int = 0) -> Tensor:
    """Logits of features that are made up, with all else as in image ``row``."""
    return seen.head(0, features, torch.full((len(features),), row, device=features.device))


def find_readout(seen: NetworkPass) -> Readout | None:
    """Find the weights of a head that is average pooling and one linear layer; else None.

    What two random feature maps of unlike scale differ in must be what the weights make of the
    difference of their means. That leaves dropout, biases, 1 x 1 convolutions in front of the
    pooling and paths around the layer that only add something.
    """
    with grad_mode(enabled=False):
        features = _random(seen, 2)
        logits = _logits(seen, features)
        for readout in _tables(seen.model, logits.shape[1], features.shape[1]):
            if readout.source.any() and _predicts(readout.weights(), features, logits):
                return readout  # a table that is all zero would agree with nothing that is known
    return _measured(seen, features)


def _tables(model: nn.Module, classes: int, channels: int) -> Iterator[Readout]:
    """Every parameter of the right size for a table of weights."""
    for parameter in model.parameters():
        shape = parameter.shape[:2] if parameter.shape[2:] in {(), (1, 1)} else ()
        if shape == (classes, channels):
            yield Readout(parameter)
        if shape == (channels, classes) and parameter.ndim == 2:
            yield Readout(parameter, transposed=True)


def _predicts(weights: Tensor, features: Tensor, logits: Tensor) -> bool:
    means = features.float().mean((2, 3))
    expected = (means[1] - means[0]) @ weights.T
    return same_logits((logits[1] - logits[0]).to(features.dtype), expected.to(features.dtype))


def _measured(seen: NetworkPass, features: Tensor) -> Readout | None:
    """Weights that stand in no parameter, such as those of a norm and a linear layer in a row.

    They are the gradients of the logits, which must be the same at every place, for other features
    and with everything else as in another image.
    """
    with grad_mode(enabled=True):
        leaf = features[:1].clone().requires_grad_()
        logits = _logits(seen, leaf)
        if not logits.requires_grad:
            return None
        mixed, *_ = torch.autograd.grad(logits @ _mixture(logits), leaf, retain_graph=True)
        if not _is_constant(mixed):
            return None
        rows = [
            torch.autograd.grad(logits[0, c], leaf, retain_graph=True)[0].float().sum((2, 3))
            for c in range(logits.shape[1])
        ]
    weights = torch.cat(rows)
    if not weights.any():
        return None
    with grad_mode(enabled=False):
        for row in {0, len(seen.logits) - 1}:
            if not _predicts(weights, features, _logits(seen, features, row)):
                return None
    return Readout(weights)


def _mixture(logits: Tensor) -> Tensor:
    """A column of unlike numbers, so that one gradient looks at all classes."""
    return torch.linspace(1, 2, logits.shape[1], device=logits.device)[:, None]


def _is_constant(gradient: Tensor) -> bool:
    low, high = gradient.amin((2, 3)), gradient.amax((2, 3))
    tolerance = 1e-4 if gradient.dtype == torch.float32 else 2e-2
    return bool(((high - low) <= tolerance * gradient.abs().max()).all())


def normed_weights(seen: NetworkPass) -> Tensor | None:
    """Weights [C, K] of timm's classifier where a norm comes between the pooling and it; else None.

    Plain CAM leaves such a norm out, as other libraries do. Whether it is a norm, and not a hidden
    layer of the same width, is tried out: on channels of zero mean and unit variance, where a layer
    norm changes nothing but scales and offsets, the logits have to be linear.
    """
    classifier = classifier_of(seen.model)
    (layout,), kind = seen.layouts, seen.output(0).dtype
    if classifier is None or classifier.weight.shape[1] != layout.channels or layout.channels < 3:
        return None
    with grad_mode(enabled=False):
        noise = _random(seen, 2).float()
        one, other = _standard_pair(layout.channels, noise.device)
        corners = torch.stack((one, -one, other, (one + other) / 2**0.5))[:, :, None, None]
        uneven = one[:, None, None] + noise[0] - noise[0].mean((1, 2), keepdim=True)
        features = torch.cat((corners.expand(-1, -1, *layout.grid), uneven[None]))
        logits = _logits(seen, features)
    plus, minus, beside, between, same = (row.to(kind) for row in logits)
    middle = (plus + minus) / 2
    linear = (plus - middle + beside - middle) / 2**0.5 + middle
    if not (same_logits(between, linear) and same_logits(same, plus)):
        return None
    return classifier.weight.detach().flatten(1).float().clone()


def _standard_pair(channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two vectors [K] of zero mean and unit variance at right angles to one another."""
    draws = torch.randn(2, channels, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    one = draws[0] - draws[0].mean()
    other = draws[1] - draws[1].mean()
    other = other - one * (one @ other) / (one @ one)
    pair = [vector / vector.std(correction=0) for vector in (one, other)]
    return pair[0].float().to(device), pair[1].float().to(device)
