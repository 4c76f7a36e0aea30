"""The same work on many items on all cores, with results in the order of the items.

Threads, because the work is done by NumPy, SciPy and readers of files, which let other threads run
meanwhile: nothing is copied between processes, and nothing is imported again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from camzoo.core.environment import use_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """Yield the result of each item, of which at most one more than ``workers`` is held at a time.

    An error comes out where its result would stand, whatever the number of workers; nothing that
    has not begun is begun then, nor after Ctrl-C.

    Args:
        work: What is done with an item; called from several threads.
        items: Read one by one in the thread of the caller.
        workers: How many are worked on at once; as many as torch computes on when left out.
    """
    workers = workers or torch.get_num_threads()
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Result]] = deque()
    try:
        with use_threads(1):  # each worker is one: together they take all cores
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
