"""Leading eigenvectors from a few products equal those of full decompositions in float64."""

import pytest
import torch

from camzoo.cams import leading as module
from camzoo.cams.leading import SMALL, Grams, Kernels, leading
from camzoo.cams.methods.eigen import first_component, first_components
from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams
from tests.cams.methods.test_peers import gap, same_sign
from tests.cams.networks import lively, pictures

SHAPES = [(300, 400), (400, 300)]  # fewer channels than places, and more
#: Eigenvalues as shares of the first; all others fall off evenly from the last one.
SPECTRA = {
    "wide gap": [1, 0.4, 0.3],
    "gap of 1e-3": [1, 0.999, 0.3],
    "gap of 1e-3, twice": [1, 0.999, 0.998, 0.3],
    "gap of 1e-5": [1, 0.99999, 0.3],
    "hardly any decay": [1, 0.998, 0.996, 0.994, 0.992, 0.99],
    "steep": [1, 1e-8, 1e-12],
}


def orthonormal(count, size, seed):
    noise = torch.randn(size, count, generator=torch.Generator().manual_seed(seed)).double()
    return torch.linalg.qr(noise)[0].mT


def with_spectrum(values, channels, places, seed=0):
    """A matrix whose Gram matrices have these eigenvalues."""
    rank = min(channels, places)
    tail = torch.linspace(values[-1], 0, rank - len(values) + 1)[1:]
    roots = torch.cat((torch.tensor(values).double(), tail.double())).sqrt()
    left, right = orthonormal(rank, channels, seed), orthonormal(rank, places, seed + 1)
    return left.mT @ (roots[:, None] * right)


def by_svd(matrix):
    """First right singular vector times the first singular value, in double precision."""
    _, singular, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return right[..., 0, :] * singular[..., :1]


def unlike(got, expected):
    """Largest difference as a share of the map's largest value, over maps, up to the sign."""
    scale = expected.abs().amax(-1)
    apart = torch.minimum((got - expected).abs().amax(-1), (got + expected).abs().amax(-1))
    return float((apart / scale).max())


def grams(*matrices):
    places = torch.stack(matrices).double()
    return Grams(places, torch.ones_like(places[:, None, :, 0]))


@pytest.fixture
def decomposed(monkeypatch):
    """How many matrices were decomposed in full, call by call."""
    counts = []
    for kind in (Grams, Kernels):
        full = kind.decompose

        def counted(self, full=full):
            counts.append(len(self.no_rows))
            return full(self)

        monkeypatch.setattr(kind, "decompose", counted)
    return counts


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_hard_spectra(spectrum, shape):
    matrix = with_spectrum(SPECTRA[spectrum], *shape)
    assert unlike(leading(grams(matrix))[:, 0], by_svd(matrix)[None]) < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_random_features(shape):
    features = torch.randn(
        3, shape[0], shape[1] // 20, 20, generator=torch.Generator().manual_seed(2)
    )
    places = features.flatten(2).double()
    expected = by_svd(places - places.mean(2, keepdim=True))
    assert unlike(first_component(features).flatten(1), expected) < 1e-6


def test_only_what_a_few_steps_do_not_reach_is_decomposed(decomposed):
    """In one batch; the third has more equal values than a block of two can tell apart."""
    easy = with_spectrum(SPECTRA["wide gap"], *SHAPES[0])
    close = with_spectrum([1, 1 - 1e-13, 0.3], *SHAPES[0])
    batch = grams(easy, close, easy)
    maps = leading(batch)[:, 0]
    assert decomposed == [1]
    assert unlike(maps[::2], by_svd(batch.places[::2])) < 1e-6
    torch.testing.assert_close(maps[0], maps[2])
    assert float(maps[1].norm()) == pytest.approx(1)


def test_easy_matrices_are_checked_once(decomposed, monkeypatch):
    checks = []
    best = module._best
    monkeypatch.setattr(module, "_best", lambda *given: checks.append(1) or best(*given))
    leading(grams(with_spectrum(SPECTRA["wide gap"], *SHAPES[1])))
    assert (len(checks), decomposed) == (1, [])


def test_a_small_matrix_is_decomposed_at_once(decomposed):
    leading(grams(torch.randn(SMALL, 1000)))
    assert decomposed == [1]


@pytest.mark.parametrize("shape", SHAPES)
def test_zero_constant_rank_one_and_not_finite_side_by_side(shape, decomposed):
    channels, height, width = shape[0], shape[1] // 20, 20
    generator = torch.Generator().manual_seed(3)
    ramp = torch.arange(height * width).view(height, width).float()
    gains = torch.randn(channels, generator=generator)
    features = torch.stack((
        torch.zeros(channels, height, width),
        torch.full((channels, height, width), 0.1),
        gains[:, None, None] * ramp,
        torch.randn(channels, height, width, generator=generator),
    ))  # fmt: skip
    features[3, 5, 2, 1] = torch.nan
    maps = first_component(features)
    assert not maps[:2].any()
    line = (ramp - ramp.mean()) * gains.norm()
    assert unlike(maps[2].flatten(), line.flatten()) < 1e-6
    assert maps[3].isnan().all()
    assert decomposed == []


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_equal_eigenvalues_any_vector_is_right(count):
    matrix = with_spectrum([1.0] * count + [0.3], *SHAPES[0])
    (found,) = leading(grams(matrix))[0]
    torch.testing.assert_close(matrix.mT @ (matrix @ found), found, atol=1e-9, rtol=0)
    assert float(found.norm()) == pytest.approx(1)


def test_weights_of_groups_scale_the_channels():
    generator = torch.Generator().manual_seed(4)
    places = torch.randn(2, 300, 400, generator=generator).double()
    weights = torch.randn(2, 3, 300, generator=generator).double() ** 3
    found = leading(Grams(places, weights))
    assert unlike(found, by_svd(weights[..., None] * places[:, None])) < 1e-6


def test_a_kernel_with_strong_negative_values():
    """Eigenvalues 2, 1 and one of -10: the leading one is the largest, not the strongest."""
    axes = orthonormal(3, 300, 5)
    kernel = axes.mT @ (torch.tensor([2.0, 1.0, -10.0]).double()[:, None] * axes)
    found = leading(Kernels(torch.stack((kernel, kernel * 0, -axes[:1].mT @ axes[:1]))))
    assert unlike(found[0], axes[:1] * 2**0.5) < 1e-6
    assert found[1:].abs().max() < 1e-7, "nothing is above zero, but for rounding"


def test_the_same_at_every_call_and_no_global_randomness():
    batch = grams(*(with_spectrum(SPECTRA["wide gap"], *SHAPES[0], seed) for seed in (1, 3)))
    torch.manual_seed(0)
    before, state = leading(batch), torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(leading(batch), before)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def view():
    """Features 512 x 18 x 20 of a network, more than are decomposed at once."""
    return Viewer(lively("resnet18", 3, output_stride=8))(pictures(2, 144, 160))


@pytest.mark.parametrize("method", ["eigen-cam", "eigen-grad-cam", "seg-eigen-cam", "kpca-cam"])
def test_features_of_a_network_beside_full_decompositions(view, method, monkeypatch, decomposed):
    maps = cams.get(method)()(view)
    assert decomposed == []
    monkeypatch.setattr(module, "SMALL", 10**6)
    expected = cams.get(method)()(view)
    assert sum(decomposed) > 0
    assert float((maps - expected).abs().max() / expected.abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("method", "peer"), [("eigen-cam", "EigenCAM"), ("eigen-grad-cam", "EigenGradCAM"),
                         ("kpca-cam", "KPCA_CAM")],
)  # fmt: skip
def test_features_of_a_network_beside_pytorch_grad_cam(view, method, peer):
    """Whose decompositions are in single precision."""
    ours = cams.get(method)()(view)
    theirs = cams.get(f"gradcam:{peer}")()(view)
    assert gap(ours, same_sign(theirs, ours)) < 1e-4


@pytest.mark.parametrize("limit", [1, 10**9])
def test_gradients_that_differ_from_place_to_place(limit, monkeypatch):
    """h w gradient x feature class by class, or all classes at once where memory allows."""
    monkeypatch.setattr("camzoo.cams.methods.eigen.CHUNK", limit)
    generator = torch.Generator().manual_seed(6)
    features = torch.randn(2, 300, 18, 20, generator=generator)
    gradients = torch.randn(2, 3, 300, 18, 20, generator=generator)
    found = first_components(features, gradients)
    evidence = (360 * gradients * features[:, None]).flatten(3).double()
    expected = by_svd(evidence - evidence.mean(3, keepdim=True))
    assert found.shape == (2, 3, 18, 20)
    assert unlike(found.flatten(2), expected) < 1e-6
