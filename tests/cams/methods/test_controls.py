import numpy as np
import pytest
import torch
from scipy.stats import kstest

from camzoo.cams.methods.controls import _GOLDEN, _content, _mixed, _normal, otsu_threshold
from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams
from tests.cams.networks import lively, pictures


@pytest.fixture(scope="module")
def view():
    return Viewer(lively("test_resnet"))(pictures(3))


def test_random_belongs_to_the_image_and_not_to_the_batch(view):
    maps = cams.get("random")()(view)
    assert maps.shape == (3, 4, 2, 3)
    assert not torch.equal(maps[0], maps[1])
    again = Viewer(lively("test_resnet"))(pictures(3)[[2, 0]])
    assert torch.equal(cams.get("random")()(again), maps[[2, 0]])


def test_random_is_random():
    view = Viewer(lively("test_resnet"), "layer1")(pictures(4))
    maps = cams.get("random")()(view)
    assert maps.mean().abs() < 0.1
    assert maps.std() == pytest.approx(1, abs=0.1)


def test_random_is_made_on_the_device(view, monkeypatch):
    """The meta device stands for a GPU: what has to be on the host fails there."""
    monkeypatch.setattr(torch.Tensor, "cpu", None)
    monkeypatch.setattr(torch.Tensor, "numpy", None)
    assert cams.get("random")()(view).shape == (3, 4, 2, 3)
    seeds = _content(torch.rand(2, 3, 8, 9, device="meta"))
    assert _normal(seeds, (4, 2, 3)).shape == (2, 4, 2, 3)


def test_bits_are_mixed_as_splitmix64_mixes_them():
    """The first two numbers of the generator that starts from 0, from the paper's Java code."""
    golden = torch.tensor([1, 2]) * _GOLDEN
    unsigned = [number % 2**64 for number in _mixed(golden).tolist()]
    assert unsigned == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_noise_is_normal_and_that_of_one_image_tells_nothing_of_another():
    noise = _normal(torch.tensor([1, 2]), (100, 100)).flatten(1)
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 0.01
    assert abs(float(torch.corrcoef(noise)[0, 1])) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([noise[0, 1:], noise[0, :-1]]))[0, 1])) < 0.03


def test_places_count_in_the_hash_of_an_image():
    image = torch.rand(1, 3, 6, 5)
    others = [image.flip(2), image.flip(1), image + 1e-3, image]
    hashes = [int(_content(other)) for other in others]
    assert len(set(hashes)) == 4


def test_centre_is_highest_in_the_middle_and_falls_with_the_sides(view):
    maps = cams.get("centre")()(view)
    assert maps.shape == (3, 4, 64, 96)
    one = maps[0, 0]
    torch.testing.assert_close(one, one.flip(0))
    torch.testing.assert_close(one, one.flip(1))
    assert int(one.argmax()) in {31 * 96 + 47, 31 * 96 + 48, 32 * 96 + 47, 32 * 96 + 48}
    # One standard deviation, a quarter of a side, from the middle: exp(-1/2) of the top.
    assert one[48, 48] / one[32, 48] == pytest.approx(np.exp(-0.5), abs=0.02)
    assert one[32, 72] / one[32, 48] == pytest.approx(np.exp(-0.5), abs=0.02)


def test_otsu_threshold_by_hand():
    """Of 0 0 1 8 9 9 the best split is between 1 and 8, of 5 5 5 5 5 7 before 7."""
    grey = torch.tensor([[[0.0, 9.0, 1.0], [8.0, 0.0, 9.0]], [[5.0, 5.0, 5.0], [5.0, 7.0, 5.0]]])
    assert otsu_threshold(grey).tolist() == [1, 5]


def test_otsu_threshold_is_the_best_of_all():
    grey = torch.randn(2, 7, 9, generator=torch.Generator().manual_seed(0)).round(decimals=1)

    def variance_within(image, threshold):
        low, high = image[image <= threshold], image[image > threshold]
        return len(low) * low.var(correction=0) + len(high) * high.var(correction=0)

    for image, threshold in zip(grey, otsu_threshold(grey), strict=True):
        candidates = image.unique()[:-1]
        best = min(variance_within(image, candidate) for candidate in candidates)
        assert variance_within(image, threshold) == pytest.approx(float(best), rel=1e-5)


def test_otsu_marks_the_bright_part_whatever_the_normalisation():
    bright = torch.zeros(1, 3, 64, 96)
    bright[:, :, 10:20, 30:50] = 1
    mean, std = (
        torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1),
        torch.tensor([0.2, 0.3, 0.1]).view(3, 1, 1),
    )
    view = Viewer(lively("test_resnet"))((bright - mean) / std)
    maps = cams.get("otsu")()(view)
    assert torch.equal(maps, bright[:, :1].expand(1, 4, -1, -1))


def test_a_constant_image_has_no_bright_part():
    view = Viewer(lively("test_resnet"))(torch.full((1, 3, 64, 96), 0.3))
    assert not cams.get("otsu")()(view).any()


@pytest.mark.parametrize("name", ["random", "centre", "otsu"])
def test_controls_say_that_they_are(name):
    assert cams.get(name).control
