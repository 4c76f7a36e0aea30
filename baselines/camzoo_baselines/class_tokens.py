"""A vision transformer with a class token for every organ, and CAM on its patches.

Xu et al., "Multi-class token transformer for weakly supervised semantic segmentation", CVPR 2022,
Fig. 2 and 4. A usual transformer has one class token, whose attention shows that there is
something, not what. With a token for each organ, each attends to what tells its own.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.network.attention import attention_blocks, mean_attention
from camzoo.network.backbone import Classifier, Trainable


class ClassTokenNet(Trainable):
    """A transformer with C class tokens, and a 3 x 3 convolution from its last patches to C maps.

    Tokens are read behind the last block, not behind its norm: the mean of a normalised token over
    its channels would be the same for all. The linear head of the transformer is not read.

    Attributes:
        classifier: The transformer, and what normalises its input.

    Args:
        classifier: A vision transformer of timm with a class token, which is changed in place.
        seed: Seed of the convolution.

    Raises:
        ConfigError: It is another network.
    """

    def __init__(self, classifier: Classifier, *, seed: int) -> None:
        super().__init__()
        self.classifier = classifier
        model = self._transformer
        self._organs = model.num_classes
        multiply_class_token(model, self._organs)
        with seeded(seed):
            self.head = nn.Conv2d(model.num_features, self._organs, 3, padding=1)
        self.head.to(classifier.device)

    @property
    def _transformer(self) -> VisionTransformer:
        model = self.classifier.model
        if not isinstance(model, VisionTransformer):
            raise _without_class_token(model)
        return model

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that start anew: the convolution."""
        return list(self.head.parameters())

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Return class tokens and CAM of slices.

        Args:
            grey: Slices on [0, 1], [B, H, W].

        Returns:
            The tokens behind each of L blocks, [B, L, C, D], and the maps [B, C, h, w].
        """
        return self._run(self.classifier.normalise(grey))

    def attended(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return CAM, and what each block attends to.

        Args:
            images: Normalised, [B, channels, H, W].

        Returns:
            Maps [B, C, h, w], and of each block, first to last, the mean over its heads of the
            attention, [B, N, N] from queries to keys. C class tokens are first, h w patches last.
        """
        model = self._transformer
        blocks = attention_blocks(model, len(model.blocks), who="MCTformer")
        with mean_attention(blocks) as attention:
            _, cam = self._run(images)
        return cam, attention

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        behind: list[tuple[Tensor, Tensor]] = self._transformer.forward_intermediates(  # type: ignore[assignment]
            images, return_prefix_tokens=True, norm=False, intermediates_only=True
        )
        tokens = torch.stack([prefix[:, : self._organs] for _, prefix in behind], dim=1)
        patches, _ = behind[-1]
        return tokens, self.head(patches)


def multiply_class_token(model: VisionTransformer, count: int) -> None:
    """Put copies in the place of the class token of a transformer, and of its position.

    All start as the one that came with the weights; what they are to tell sets them apart.

    Args:
        model: With one class token, in front of all other tokens; is changed in place.
        count: Number of class tokens C.

    Raises:
        ConfigError: It has none.
    """
    if model.cls_token is None:
        raise _without_class_token(model)
    model.cls_token = nn.Parameter(model.cls_token.detach().repeat(1, count, 1))
    model.num_prefix_tokens += count - 1
    if model.pos_embed is not None and not model.no_embed_class:
        own, others = model.pos_embed.detach().tensor_split([1], dim=1)
        model.pos_embed = nn.Parameter(torch.cat([own.repeat(1, count, 1), others], dim=1))


def _without_class_token(model: nn.Module) -> ConfigError:
    return ConfigError(
        "class tokens need a vision transformer of timm that has one, such as "
        f"deit_small_patch16_224; got {type(model).__name__} without: choose another backbone"
    )
