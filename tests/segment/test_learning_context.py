"""A baseline trains a network of its own through its context."""

from dataclasses import replace

from camzoo.config import TrainingConfig
from tests.learning.test_loop import Number
from tests.segment.toy import toy_context

RECIPE = TrainingConfig(epochs=3, batch=8, lr=0.5, head_factor=1.0, power=0, precision="fp32")


class Square:
    """(number - mean tag)^2 / 2, and how often it was asked."""

    def __init__(self, network):
        self.network, self.calls = network, 0

    def __call__(self, images, indices, tags, generator):
        self.calls += 1
        return (self.network.value - tags.mean()) ** 2 / 2, None


class Listener:
    def __init__(self):
        self.titles, self.last = [], None

    def stage(self, title):
        self.titles.append(title)
        return self

    def note(self, text):
        self.titles.append(text)

    def __enter__(self):
        return self._tick

    def __exit__(self, *_):
        return False

    def _tick(self, done, total):
        self.last = done, total


def test_it_trains_under_a_name_and_is_found_again(tmp_path):
    listener = Listener()
    context = replace(toy_context(tmp_path, seed=3), reporter=listener)
    networks = [Number(), Number()]
    objectives = [Square(network) for network in networks]
    histories = [
        context.minimise(objective, network, context.train, RECIPE, name="odd number")
        for network, objective in zip(networks, objectives, strict=True)
    ]
    assert [objective.calls for objective in objectives] == [6, 0]  # 16 slices, batches of 8
    assert histories[0] == histories[1]
    assert networks[0].value == networks[1].value
    assert histories[0][-1].loss < 0.2 * histories[0][0].loss
    assert listener.titles == ["training odd number, seed 3"] * 2
    assert listener.last == (6, 6)
    assert (tmp_path / "odd-number.safetensors").is_file()


def test_two_names_are_two_networks(tmp_path):
    context = toy_context(tmp_path)
    for name in ("first", "second"):
        objective = Square(Number())
        context.minimise(objective, objective.network, context.train, RECIPE, name=name)
        assert objective.calls == 6


def test_its_seed_orders_the_slices(tmp_path):
    """Equal seeds see equal batches; another seed sees others."""

    class Order(Square):
        def __init__(self, network):
            super().__init__(network)
            self.seen = []

        def __call__(self, images, indices, tags, generator):
            self.seen.append(tuple(indices))
            return super().__call__(images, indices, tags, generator)

    seen = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        context = toy_context(tmp_path / folder, seed=seed)
        objective = Order(Number())
        context.minimise(objective, objective.network, context.train, RECIPE, name="n")
        seen.append(objective.seen)
    assert seen[0] == seen[1] != seen[2]
    assert sorted([*seen[0][0], *seen[0][1]]) == list(range(16))  # an epoch is all slices, once
