"""A Segment Anything 2 of a few thousand random weights, written to a folder by its own library."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch

#: Side in pixels of the square that it sees, and of its masks.
SIDE, MASK_SIDE = 64, 16
_KEPT = []


@cache
def tiny_sam(seed=0):
    """Its folder; a test that asks for it is skipped where the library is not installed."""
    library = pytest.importorskip("transformers", reason="needs transformers: camzoo[sam]")
    _KEPT.append(tempfile.TemporaryDirectory(prefix="tiny-sam-"))
    folder = Path(_KEPT[-1].name) / "tiny-sam"
    model = library.Sam2Model(_config(library))
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():  # as the library draws them, they are nearly nothing
            parameter.normal_(std=0.2, generator=draws)
    model.save_pretrained(folder)
    library.Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def copied(folder, to):
    """The same content in another place."""
    return Path(shutil.copytree(folder, to))


def _config(library):
    backbone = library.Sam2HieraDetConfig(
        hidden_size=8, image_size=[SIDE, SIDE], blocks_per_stage=[1, 1, 1, 1],
        embed_dim_per_stage=[8, 16, 24, 32], num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 2], global_attention_blocks=[],
        window_positional_embedding_background_size=[2, 2],
    )  # fmt: skip
    vision = library.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[32, 24, 16, 8], fpn_hidden_size=32,
        backbone_feature_sizes=[[MASK_SIDE, MASK_SIDE], [8, 8], [4, 4]],
    )  # fmt: skip
    prompts = library.Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE, patch_size=16)
    decoder = library.Sam2MaskDecoderConfig(
        hidden_size=32, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16
    )
    return library.Sam2Config(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
