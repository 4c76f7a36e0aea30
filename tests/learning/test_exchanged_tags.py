"""Tags in the place of a slice's own: by hand, on cases of several lengths."""

import numpy as np
import pytest

from camzoo.config import TrainingConfig
from camzoo.core.errors import ConfigError
from camzoo.data.slices import TaggedSlices
from camzoo.harness.identity import identify
from camzoo.learning.exchanged_tags import exchange_tags

#: Slices of three cases, and in which of them each of two organs is.
LENGTHS = {"a": 4, "b": 8, "c": 3}


def slices_of(cases=LENGTHS):
    """Every tag says which slice of which case it is of: 10 times the case, plus the slice."""
    own = [[10 * k + z, 100 + z] for k, n in enumerate(cases.values(), 1) for z in range(n)]
    ends = np.cumsum([0, *cases.values()])
    places = tuple((name, int(ends[k]), int(ends[k + 1])) for k, name in enumerate(cases))
    store = np.zeros((len(own), 8, 8), np.uint8)
    return TaggedSlices(
        store, np.arange(len(own)), np.array(own, np.uint8), ("x", "y"), False, places
    )


def test_own_tags_stay():
    slices = slices_of()
    assert exchange_tags(slices, "own", seed=0) is slices


@pytest.mark.parametrize("seed", range(5))
def test_every_case_has_the_tags_of_one_other_at_the_same_level(seed):
    slices = slices_of()
    given = exchange_tags(slices, "level", seed=seed).tags
    givers = []
    for k, (_, start, stop) in enumerate(slices.cases, 1):
        (giver,) = set((given[start:stop, 0] // 10).tolist())
        assert giver != k
        givers.append(giver)
        levels = (given[start:stop, 0] % 10).tolist()
        assert (given[start:stop, 1] - 100).tolist() == levels  # organs of a slice stay together
        by_hand = {
            (4, 8): [1, 3, 5, 7], (8, 4): [0, 0, 1, 1, 2, 2, 3, 3], (4, 3): [0, 1, 1, 2],
            (3, 4): [0, 2, 3], (8, 3): [0, 0, 0, 1, 1, 2, 2, 2], (3, 8): [1, 4, 6],
        }  # fmt: skip
        assert levels == by_hand[stop - start, list(LENGTHS.values())[giver - 1]]
    assert sorted(givers) == [1, 2, 3]


def test_shuffled_tags_are_the_same_tags_in_other_places():
    slices = slices_of()
    given = exchange_tags(slices, "shuffled", seed=0).tags
    assert sorted(map(tuple, given)) == sorted(map(tuple, slices.tags))
    assert (given != slices.tags).any(axis=1).sum() > len(slices) // 2
    assert slices.tags[0].tolist() == [10, 100]  # those that were given are as they were


def test_a_seed_says_which():
    slices = slices_of()
    for tags in ("level", "shuffled"):
        first, again = (exchange_tags(slices, tags, seed=3).tags for _ in range(2))
        assert (first == again).all()
        others = [exchange_tags(slices, tags, seed=seed).tags for seed in range(10)]
        assert any((first != other).any() for other in others)


def test_one_case_has_no_other():
    with pytest.raises(ConfigError, match="takes tags of another case, and there is 1"):
        exchange_tags(slices_of({"a": 4}), "level", seed=0)


def test_what_it_takes():
    assert TrainingConfig(tags="level").tags == "level"
    with pytest.raises(ConfigError, match="tags: takes own, level or shuffled"):
        TrainingConfig(tags="none")


def test_runs_keep_their_names_and_others_have_others(tmp_path):
    from camzoo.data.opening import open_dataset
    from camzoo.data.prepare import prepare
    from camzoo.data.slices import Prepared
    from camzoo.presets import preset

    options = {"patients": 2, "size": 32}
    dataset = open_dataset("phantom", None, options)
    prepare(dataset, tmp_path, size=32, percentiles=(1, 99), min_area=1)
    config = preset("smoke", "phantom").changed({"data.options": options})
    index = Prepared(tmp_path).index
    names = {
        tags: identify(config.changed({"training.tags": tags}), dataset, index).run
        for tags in ("own", "level", "shuffled")
    }
    assert names["own"] == identify(config, dataset, index).run
    assert len(set(names.values())) == 3
