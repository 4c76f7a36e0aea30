import pytest
import torch

from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.network.backbone import build_classifier
from camzoo.refine.boundary import BoundaryNet, find_edges


def classifier(name="resnet10t", **changes):
    return build_classifier(
        BackboneConfig(name=name, weights="none", frozen=0, **changes), 2, seed=0
    )


@pytest.mark.parametrize(
    ("name", "changes", "stages"),
    [
        ("resnet50", {}, 5),
        ("mobilenetv2_100", {}, 5),
        ("mobilenetv2_100", {"stages": (4,)}, 4),
        ("mobilenetv2_100", {"stages": (3, 5), "channels": 1}, 5),
        ("convnext_atto", {}, 4),
    ],
)
def test_reads_the_stages_of_any_trunk(name, changes, stages):
    network = BoundaryNet(classifier(name, **changes), seed=0).eval()
    assert len(network.branches) == stages
    assert network(torch.rand(2, 64, 96)).shape == (2, 16, 24)


def test_only_the_new_layers_learn():
    source = classifier()
    before = {name: value.clone() for name, value in source.state_dict().items()}
    network = BoundaryNet(source, seed=0).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    network(torch.rand(2, 64, 64)).square().mean().backward()
    optimiser.step()
    moved = {name for name, p in network.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in moved} == {"branches", "edge"}
    assert len(moved) == len(network.fresh) == 5 * 3 + 2
    for name, value in source.state_dict().items():  # the classifier itself was never touched
        assert torch.equal(value, before[name]), name
    trunk = {k.removeprefix("_frozen."): v for k, v in network.state_dict().items()}
    assert all(torch.equal(trunk[name], value) for name, value in before.items())
    assert all(parameter.requires_grad for parameter in source.parameters())


def test_equal_seeds_give_equal_networks_and_leave_the_global_one_alone():
    state = torch.random.get_rng_state()
    one, same, other = (BoundaryNet(classifier(), seed=s).edge.weight for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_edges_of_a_mirrored_slice_are_mirrored():
    network = BoundaryNet(classifier(), seed=0)
    grey = torch.rand(2, 64, 96)
    edges = find_edges(network, grey, precision="fp32")
    assert edges.shape == (2, 16, 24)
    assert torch.allclose(find_edges(network, grey.flip(-1), precision="fp32"), edges.flip(-1))
    network.eval()
    with torch.no_grad():
        one, two = network(grey), network(grey.flip(-1)).flip(-1)
    assert torch.allclose(edges, torch.sigmoid((one + two) / 2))
    assert not torch.allclose(one, two, atol=1e-3)


def test_bf16_gives_float32_edges_close_to_those_of_single_precision():
    network = BoundaryNet(classifier(), seed=0)
    grey = torch.rand(1, 64, 64)
    single, half = (find_edges(network, grey, precision=p) for p in ("fp32", "bf16"))
    assert half.dtype == torch.float32
    assert 0 < (single - half).abs().max() < 0.05


def test_a_trunk_without_stages_is_refused():
    source = classifier()
    source.model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1))
    with pytest.raises(ConfigError, match="Sequential has no forward_intermediates"):
        BoundaryNet(source, seed=0)
