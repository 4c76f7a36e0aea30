import pytest
import timm
from timm.models import _registry

from camzoo.core.errors import UnknownNameError
from camzoo.network.timm_names import model_names, require_model


def test_names_read_from_the_source_are_those_of_the_imported_library():
    there = _registry._model_entrypoints
    assert set(model_names()) <= set(there)
    others = [make.__module__ for name, make in there.items() if name not in model_names()]
    assert not any(module.startswith("timm.") for module in others)  # what tests have registered


@pytest.mark.parametrize("name", ["resnet50", "resnet50.a1_in1k", "convnext_tiny_in22ft1k"])
def test_known_networks_pass(name):
    assert timm.is_model(name)
    require_model(name)


@pytest.mark.parametrize("name", ["resnet81", "ResNet-50", "", "hf_hub:timm/resnet50", "../x"])
def test_others_are_refused(name):
    assert not timm.is_model(name)
    with pytest.raises(UnknownNameError, match=r"of timm; (did you mean|known: resnet50, )"):
        require_model(name)


def test_a_network_of_one_s_own_that_timm_was_given_passes(monkeypatch):
    monkeypatch.setitem(_registry._model_entrypoints, "mine_for_test", lambda **_: None)
    require_model("mine_for_test")
