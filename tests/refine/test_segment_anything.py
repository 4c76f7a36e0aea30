"""Segment Anything 2 beside its own library; with random weights, which answer to what they see."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from camzoo.core.errors import ConfigError
from camzoo.refine.prompts import INSIDE, NO_POINT, OUTSIDE, Prompts, PromptSettings, prompts_of
from camzoo.refine.segment_anything import SamWeights, SegmentAnything
from tests.tiny_sam import MASK_SIDE, SIDE, copied, tiny_sam

CPU = torch.device("cpu")
HEIGHT, WIDTH = 40, 72
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder():
    return tiny_sam()


@pytest.fixture(scope="module")
def network(folder):
    return SegmentAnything.load(SamWeights(str(folder)), CPU)


@pytest.fixture(scope="module")
def pixels():
    """Grey slices that are not square, uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (3, HEIGHT // 4, WIDTH // 4), np.uint8)
    return noise.repeat(4, 1).repeat(4, 2)


@pytest.fixture(scope="module")
def grey(pixels):
    return torch.from_numpy(pixels).float() / 255


def test_slices_become_what_the_librarys_own_processor_makes_of_them(network, folder, pixels, grey):
    """But for rounding: it resizes whole grey levels."""
    from transformers import Sam2ImageProcessor

    colour = [np.repeat(image[..., None], 3, axis=2) for image in pixels]
    own = Sam2ImageProcessor.from_pretrained(folder)(images=colour, return_tensors="pt")
    found = network.normalise(grey)
    assert found.shape == (3, 3, SIDE, SIDE)
    assert (found - own["pixel_values"]).abs().max() < 1 / 255 / 0.2


def test_it_answers_as_the_library_does(network, folder, grey):
    """Places in pixels of the slice go through the library's own processor there."""
    from transformers import Sam2Model

    model = Sam2Model.from_pretrained(folder).eval()
    pixels = torch.tensor([[[[10, 30], [50, 5]]], [[[71, 0], [3, 39]]], [[[0, 0], [40, 20]]]])
    labels = torch.tensor([[[INSIDE, OUTSIDE]], [[INSIDE, NO_POINT]], [[INSIDE, INSIDE]]])
    corners = torch.tensor([[[8.0, 2.0, 60.0, 35.0]], [[0, 0, 71, 39]], [[20, 20, 21, 21]]])
    shares = (pixels + 0.5) / torch.tensor([WIDTH, HEIGHT])
    boxes = (corners + 0.5) / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    with torch.no_grad():
        told = model(
            pixel_values=network.normalise(grey),
            input_points=(pixels + 0.5) / torch.tensor([WIDTH, HEIGHT]) * SIDE - 0.5,
            input_labels=labels,
            input_boxes=boxes * SIDE - 0.5,
        )
    found = network.ask(grey, Prompts(shares, labels, boxes))
    assert found.logits.shape == (3, 1, 3, MASK_SIDE, MASK_SIDE)
    torch.testing.assert_close(found.logits, told.pred_masks)
    torch.testing.assert_close(found.quality, told.iou_scores)


def test_the_middle_of_a_pixel_is_where_the_library_looks_for_it(network, grey, monkeypatch):
    """In its encoder of prompts the middle of the slice is (0.5, 0.5), whatever the grid."""
    seen = []
    place = network._model.prompt_encoder.shared_embedding
    monkeypatch.setattr(
        place, "forward", lambda points, shape, old=place.forward: (
            seen.append(points / torch.tensor([shape[1], shape[0]])), old(points, shape),
        )[1],
    )  # fmt: skip
    maps = torch.zeros(1, 1, 5, 9)
    maps[0, 0, 2, 4] = 1
    network.ask(grey[:1], prompts_of(maps, PromptSettings(outside=False)))
    points, corners = seen
    assert points[0, 0, 0].tolist() == pytest.approx([0.5, 0.5])
    assert corners[0, 0, :2].flatten().tolist() == pytest.approx([0.5] * 4)


def test_each_slice_is_encoded_once_for_all_of_its_prompts(network, grey, monkeypatch):
    shapes, encoder = [], network._model.vision_encoder
    monkeypatch.setattr(
        encoder, "forward", lambda images, old=encoder.forward, **more: (
            shapes.append(tuple(images.shape)), old(images, **more),
        )[1],
    )  # fmt: skip
    network.ask(grey, prompts_of(torch.rand(3, 4, 5, 9), PromptSettings(points=2)))
    assert shapes == [(3, 3, SIDE, SIDE)]


@pytest.mark.parametrize("kind", ["points", "box", "both"])
def test_neither_other_slices_nor_other_organs_change_an_answer(network, grey, kind):
    maps = torch.rand(3, 2, 5, 9, generator=torch.Generator().manual_seed(0))
    settings = PromptSettings(kind=kind, points=2, level=0.9, outside=False)
    together = network.ask(grey, prompts_of(maps, settings))
    alone = network.ask(grey[1:2], prompts_of(maps[1:2, 1:], settings))
    torch.testing.assert_close(alone.logits[0, 0], together.logits[1, 1], atol=1e-4, rtol=1e-4)
    assert together.logits[1].std() > 0.01, "random weights answer to what they see"
    assert not torch.allclose(together.logits[1, 0], together.logits[1, 1])


def test_it_computes_in_bfloat16_and_tells_in_single_precision(network, grey):
    prompts = prompts_of(torch.rand(3, 2, 5, 9), PromptSettings())
    found = network.ask(grey, prompts, "bf16")
    assert found.logits.dtype == found.quality.dtype == torch.float32
    assert not torch.equal(found.logits, network.ask(grey, prompts).logits)


def test_weights_that_lack_a_tensor_are_refused(folder, tmp_path):
    """The library would draw it at random."""
    lacking = copied(folder, tmp_path / "lacking")
    state = load_file(lacking / "model.safetensors")
    name = "mask_decoder.iou_token.weight"
    save_file({k: v for k, v in state.items() if k != name}, lacking / "model.safetensors")
    with pytest.raises(ConfigError, match=rf"1 tensors are missing \({name}\)"):
        SegmentAnything.load(SamWeights(str(lacking)), CPU)


@pytest.mark.parametrize("damage", ["no config", "no images", "cut", "other model"])
def test_a_folder_that_holds_something_else_is_named(folder, tmp_path, damage):
    spoilt = copied(folder, tmp_path / "spoilt")
    if damage == "no config":
        (spoilt / "config.json").unlink()
    elif damage == "no images":
        (spoilt / "preprocessor_config.json").unlink()
    elif damage == "cut":
        whole = (spoilt / "model.safetensors").read_bytes()
        (spoilt / "model.safetensors").write_bytes(whole[:1000])
    else:
        config = json.loads((spoilt / "config.json").read_text("utf-8"))
        config["mask_decoder_config"]["mlp_dim"] = 16
        (spoilt / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ConfigError, match="spoilt") as raised:
        SegmentAnything.load(SamWeights(str(spoilt)), CPU)
    assert "\n" not in str(raised.value)


def test_without_the_library_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"the step sam needs .*pip install 'camzoo\[sam\]'"):
        SegmentAnything.load(SamWeights(str(tmp_path)), CPU)


@pytest.mark.parametrize(
    ("place", "revision", "message"),
    [
        ("nowhere", "", "no weights of Segment Anything at 'nowhere'"),
        ("owner/model/more", COMMIT, "no weights of Segment Anything at"),
        ("owner/model", "", "no folder here, .* revision=COMMIT, .* got ''"),
        ("owner/model", "main", "what a branch or tag stands for may change"),
        ("owner/model", COMMIT[:39], "the 40 digits of a commit"),
    ],
)
def test_what_names_no_weights(place, revision, message):
    with pytest.raises(ConfigError, match=message):
        SamWeights(place, revision)


def test_a_folder_has_no_revision_and_a_model_of_a_hub_no_folder(tmp_path):
    assert SamWeights(str(tmp_path)).folder == tmp_path
    assert SamWeights("owner/model", COMMIT).folder is None
    with pytest.raises(ConfigError, match=r"are a folder, and revision=.* leave it out"):
        SamWeights(str(tmp_path), COMMIT)


def test_a_model_of_a_hub_is_asked_for_by_its_commit(folder, monkeypatch):
    """Without a network: what the library is asked for is seen, and it reads the folder."""
    import transformers

    asked = []
    for kind in (transformers.Sam2Model, transformers.Sam2ImageProcessor):

        def read(place, *, revision, old=kind.from_pretrained, **more):
            asked.append((place, revision))
            return old(folder, local_files_only=True, **more)

        monkeypatch.setattr(kind, "from_pretrained", read)
    SegmentAnything.load(SamWeights("owner/model", COMMIT), CPU)
    assert asked == [("owner/model", COMMIT)] * 2
