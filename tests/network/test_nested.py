from typing import NamedTuple

import torch

from camzoo.network.nested import map_tensors, tensors_in


class Pair(NamedTuple):
    first: torch.Tensor
    second: object


def test_tensors_are_found_and_replaced_wherever_they_are():
    one, two, three = torch.ones(1), torch.ones(2), torch.ones(3)
    value = {"a": [one, (two, "text")], "b": Pair(three, None)}
    assert tensors_in(value) == [one, two, three]
    doubled = map_tensors(lambda t: t * 2, value)
    assert doubled["a"][0].tolist() == [2]
    assert doubled["a"][1][1] == "text"
    assert doubled["b"] == Pair(doubled["b"].first, None)
    assert doubled["b"].first.tolist() == [2, 2, 2]
    assert map_tensors(torch.neg, "nothing") == "nothing"
