"""Pictures are checked by their pixels, on a phantom slice."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.image import imread

from camzoo.cams.base import FitContext
from camzoo.cams.methods.legrad import LeGrad
from camzoo.cams.methods.stages import StageCam
from camzoo.cams.view.viewer import Viewer
from camzoo.data.datasets.phantom import Phantom
from camzoo.network.backbone import Classifier
from camzoo.registries import cams
from camzoo.report.sheet import overlay, write_sheet
from tests.cams.networks import GivenFeatures
from tests.toy import toy_slices


class Brightness(GivenFeatures):
    """Features on an 8 x 8 pixel grid: how bright and how dark a place is."""

    def forward_features(self, images):
        bright = F.avg_pool2d(images[:, :1], 8)
        return torch.cat((bright.relu(), (1 - bright).relu()), dim=1)


@pytest.fixture(scope="module")
def phantom():
    """A slice with a large organ made the brightest thing in it, and its mask."""
    dataset = Phantom(variant="prostate", patients=1, size=96, seed=3)
    case = dataset.cases()[0]
    volume, label = dataset.image(case).array.astype(float), dataset.label(case).array
    z = int((label > 0).sum((1, 2)).argmax())
    organ = torch.from_numpy(label[z] > 0)
    height, width = (side // 8 * 8 for side in organ.shape)
    grey = torch.from_numpy(volume[z] / volume[z].max() * 0.5).float()
    grey[organ] += 0.5
    return grey[:height, :width], organ[:height, :width]


@pytest.fixture(scope="module")
def maps(phantom):
    """Maps [h, w], for a class that is bright, of all native methods but those of deep networks."""
    grey, _ = phantom
    viewer = Viewer(Brightness([[3.0, -1.0], [-1.0, 3.0]]))
    view = viewer(grey.expand(1, 3, -1, -1))
    classifier = Classifier(viewer.model, (0.0,) * 3, (1.0,) * 3, frozen_norm=True)
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    fitting = FitContext(classifier, toy_slices(), generator, cpu)
    found = {}
    for name in cams.names("[!g]*") + cams.names("grad-*"):
        method = cams.get(name)()
        if isinstance(method, StageCam | LeGrad):
            continue
        if method.needs_fit:
            method.fit(fitting)
        found[name] = method(view)[0, 0]
    return found


def test_no_evidence_shows_the_slice_and_the_top_the_brightest_colour():
    grey = torch.full((4, 6), 0.4)
    saliency = torch.full((4, 6), -1.0)
    saliency[1, 2], saliency[3, 5] = 2.0, 1.0
    picture = overlay(grey, saliency)
    assert picture.shape == (4, 6, 3)
    assert picture[0, 0].tolist() == pytest.approx([0.4] * 3)
    top = np.array([0.988362, 0.998364, 0.644924])  # the last colour of inferno
    assert picture[1, 2] == pytest.approx(0.25 * 0.4 + 0.75 * top, abs=1e-4)
    half = np.array([0.735683, 0.215906, 0.330245])  # its middle
    assert picture[3, 5] == pytest.approx(0.625 * 0.4 + 0.375 * half, abs=0.01)


def test_an_empty_map_shows_the_slice():
    grey = torch.rand(3, 5)
    picture = overlay(grey, torch.full((2, 2), -1.0))
    assert picture == pytest.approx(grey[..., None].expand(-1, -1, 3).numpy())


def test_every_method_has_a_tile_and_the_organ_glows(phantom, maps, tmp_path):
    """Found again in the PNG: each tile is where it should be and shows its own overlay."""
    grey, _ = phantom
    path = tmp_path / "sheet.png"
    write_sheet(grey, maps, path)
    sheet = imread(path)[..., :3]
    rows = -(-(len(maps) + 1) // 6)
    tiles = [t for row in np.array_split(sheet, rows) for t in np.array_split(row, 6, axis=1)]
    for name, tile in zip(["slice", *maps], tiles, strict=False):
        coloured = tile.max(2) - tile.min(2) > 0.15
        if name == "slice":
            assert not coloured.any()
        elif maps[name].max() > 0:
            assert coloured.any(), name
    assert all(tile.min() == 1 for tile in tiles[len(maps) + 1 :])


@pytest.mark.parametrize(
    "name", ["cam", "grad-cam", "grad-cam++", "layer-cam", "ablation-cam", "eigen-cam",
             "reciprocal-cam", "finer-cam", "otsu"],
)  # fmt: skip
def test_maps_of_a_bright_class_glow_on_the_bright_organ(phantom, maps, name):
    grey, organ = phantom
    picture = overlay(grey, maps[name])
    glow = (picture.max(2) - picture.min(2)).clip(min=0)
    inside, outside = glow[organ.numpy()].mean(), glow[~organ.numpy()].mean()
    assert inside > 1.5 * outside
