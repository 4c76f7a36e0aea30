"""Work on many items at once: the order, how many are held, errors, and threads of torch."""

import time
from threading import Event, get_ident

import pytest
import torch

from camzoo.core.environment import use_threads
from camzoo.core.parallel import in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items_whoever_is_first(workers):
    def slow_at_first(n):
        time.sleep(0.02 if n % 3 == 0 else 0)
        return n * n

    found = list(in_order(slow_at_first, range(10), workers))
    assert found == [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]


def test_items_are_worked_on_at_once():
    met = [Event(), Event()]

    def meet(n):
        met[n].set()
        return met[1 - n].wait(10)

    assert list(in_order(meet, [0, 1], workers=2)) == [True, True]


@pytest.mark.parametrize("workers", [1, 3])
def test_few_items_are_held_at_once(workers):
    read, done = 0, 0
    most = 0

    def items():
        nonlocal read, most
        for n in range(20):
            read += 1
            most = max(most, read - done)
            yield n

    for _ in in_order(str, items(), workers):
        done += 1
    assert (read, done) == (20, 20)
    assert most == (1 if workers == 1 else workers + 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_item_that_fails_is_told_and_little_else_is_begun(workers):
    begun = []

    def fail(n):
        begun.append(n)
        if n in {3, 4}:
            raise ValueError(f"item {n}")
        return n

    found = []
    with pytest.raises(ValueError, match="item 3"):  # noqa: PT012 - what came before counts
        for result in in_order(fail, range(100), workers):
            found.append(result)  # noqa: PERF402 - kept though the loop fails
    assert found == [0, 1, 2]
    assert max(begun) <= 3 + workers


@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_workers_as_torch_has_threads_and_each_computes_on_one(threads):
    before = torch.get_num_threads()
    with use_threads(threads):
        inside = list(in_order(lambda _: (torch.get_num_threads(), get_ident()), range(4)))
        assert torch.get_num_threads() == threads
    assert {count for count, _ in inside} == {1}
    assert (get_ident() in {who for _, who in inside}) == (threads == 1)
    assert torch.get_num_threads() == before
