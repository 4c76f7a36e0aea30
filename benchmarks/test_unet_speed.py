"""The training of the common U-Net beside a bare loop over MONAI's network."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch
from monai.losses import MaskedDiceLoss
from monai.networks.nets import BasicUNet

from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.data.slices import TaggedSlices
from camzoo.learning.loop import batches
from camzoo.network.precision import choose_precision
from camzoo.presets import preset
from camzoo.segment.losses import cross_entropy_and_dice
from camzoo.segment.training import UNetLoss, fit
from camzoo.segment.unet import build_unet

#: Stored slices are twice as large as what the network sees, as in the preset.
SLICES, STORED, ROUNDS = 48, 256, 5
#: How much longer than the bare loop an epoch may take.
TARGET = 1.10
CPU = torch.device("cpu")
PRECISION = choose_precision("auto", CPU).used
CONFIG = preset("quick", "phantom").segmentation.model_copy(
    update={"epochs": 1, "precision": PRECISION}
)
PACKAGES = ("camzoo", "torch", "monai")


def data(folder):
    """Slices in a memory-mapped file, as in a run, with a tag and labels of one organ."""
    rng = np.random.default_rng(0)
    shape = (SLICES, STORED, STORED)
    store = np.memmap(folder / "images.u8", np.uint8, "w+", shape=shape)
    store[:] = rng.integers(0, 255, shape)
    labels = np.zeros((SLICES, CONFIG.side, CONFIG.side), np.uint8)
    labels[::2, 40:80, 40:80] = 1
    slices = TaggedSlices(
        store=store, rows=np.arange(SLICES), tags=labels.any((1, 2))[:, None].astype(np.uint8),
        organs=("organ",), sided=False, cases=(("a", 0, SLICES),),
    )  # fmt: skip
    return slices, labels


def camzoo_epoch(slices, labels, folder):
    """Everything that a run does in an epoch, the checkpoint and the building included."""
    numbers = count()

    def epoch():
        network = build_unet(2, CONFIG.widths, seed=0)
        path = folder / f"{next(numbers)}.safetensors"
        return fit(network, slices, labels, CONFIG, seed=0, device=CPU, checkpoint=path)

    return epoch


def bare_epoch():
    """MONAI's network and loss on batches that lie ready in memory; nothing else."""
    images = torch.rand(SLICES, 1, CONFIG.side, CONFIG.side)
    labels = torch.randint(0, 2, (SLICES, CONFIG.side, CONFIG.side))
    both = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).float()
    known = torch.ones_like(images)
    dice = MaskedDiceLoss(include_background=False, batch=True)

    def epoch():
        network = BasicUNet(
            spatial_dims=2, in_channels=1, out_channels=2,
            features=(*CONFIG.widths, CONFIG.widths[0]), norm=("group", {"num_groups": 8}),
        )  # fmt: skip
        optimiser = torch.optim.Adam(network.parameters(), lr=CONFIG.lr)
        for part in torch.arange(SLICES).split(CONFIG.batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=PRECISION == "bf16"):
                logits = network(images[part]).float()
            loss = torch.nn.functional.cross_entropy(logits, labels[part])
            loss = loss + dice(logits.softmax(dim=1), both[part], known[part])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    return epoch


def loading_epoch(slices, labels):
    """Only the batches: reading, resizing, random views."""

    loss = UNetLoss.of(None, labels, CONFIG, cross_entropy_and_dice, sided=False)

    def epoch():
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(slices), generator=generator)
        for indices, images, _ in batches(slices, order, CONFIG.batch, CPU):
            loss.views(images, indices, generator)

    return epoch


@pytest.fixture(autouse=True)
def _one_thread():
    """CPU time is the time a user waits if there is one thread; other programs hardly matter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_an_epoch_beside_a_bare_loop(tmp_path, benchmark):
    slices, labels = data(tmp_path)
    found = {
        "camzoo": camzoo_epoch(slices, labels, tmp_path),
        "bare loop": bare_epoch(),
        "batches of camzoo alone": loading_epoch(slices, labels),
    }
    times = interleaved(found, ROUNDS)
    rows = [
        {
            "what": name,
            "images per second": f"{SLICES / np.median(seconds):.3g}",
            "ms per epoch": milliseconds(seconds),
            "bare loops": ratio(seconds, times["bare loop"]),
        }
        for name, seconds in times.items()
    ]
    notes = (
        f"{SLICES} slices stored at {STORED} x {STORED}, trained at {CONFIG.side} x {CONFIG.side}, "
        f"widths {', '.join(map(str, CONFIG.widths))}, batches of {CONFIG.batch}, "
        f"{PRECISION}. "
        f"Median (quartiles) CPU time of {ROUNDS} rounds on one thread, taking turns.\n\n"
        f"{table(rows)}\n\n"
        "- *camzoo* is an epoch as in a run: memory-mapped slices, random views, the network, the "
        "loss with unknown pixels left out, a checkpoint. *bare loop* is MONAI's network and "
        "losses on tensors that lie ready.\n"
        f"- Target: at most {TARGET:g} bare loops."
    )
    write_section("U-Net training", f"{notes}\n\n{machine(*PACKAGES)}")
    benchmark.pedantic(found["batches of camzoo alone"], rounds=ROUNDS)
