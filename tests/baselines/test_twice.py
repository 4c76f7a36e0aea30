import numpy as np
import pytest
import torch
from camzoo_baselines.twice import PCamTwice

from camzoo.core.errors import ConfigError
from camzoo.learning.loop import fit
from camzoo.registries import baselines
from tests.baselines.tiny import RECIPE, tiny_classifier, tiny_context


def test_it_is_the_shared_classifier_trained_on_tags_once_more(tmp_path):
    """The very weights that a second call of the common training gives, at a tenth of the rate."""
    recipe = RECIPE.model_copy(update={"epochs": 2, "lr": 0.5})
    context, _ = tiny_context(tmp_path, recipe, epochs=1, reads=())
    before = {k: v.clone() for k, v in context.classifier.state_dict().items()}
    trained = PCamTwice()._trained(context)
    expected = tiny_classifier(2)
    fit(
        expected, context.train, recipe.model_copy(update={"lr": 0.05}),
        seed=context.seed, device=context.device, checkpoint=tmp_path / "expected",
    )  # fmt: skip
    assert not trained.training
    for name, value in trained.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name
        assert torch.equal(before[name], context.classifier.state_dict()[name]), name
    assert any(not torch.equal(before[name], value) for name, value in trained.state_dict().items())


def test_it_trains_and_predicts(tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=())
    baseline = baselines.get("p-cam-twice")()
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), 2, 16, 16)
    assert set(np.unique(baseline.pseudo)) == {0, 1, 2}
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, 3, 32, 32)


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="expected rate > 0, got 0"):
        PCamTwice(rate=0)
