"""One ordered parallel map: results in the order of their tasks, while the next tasks are worked on in threads.

Belongs here: the threads, and that nobody notices them but by the time. Does not belong here: what a task is.

Worth it where the work is done by libraries that release the interpreter (Arrow, NumPy), or waits for a server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(tasks: Iterable[Callable[[], Result]], workers: int = 2, *, ahead: int | None = None) -> Iterator[Result]:
    """Yield the results of tasks in their order, while later ones are worked on.

    What a task raises, or the iterable itself, is raised in its place: after the results of all tasks before it.

    Parameters
    ----------
    tasks : iterable of callables
        Taken one by one, as they are needed.
    workers : int
        Threads.
    ahead : int, optional
        Tasks that are begun beyond the one whose result is taken: memory holds so many results more. By default as
        many as there are workers.
    """
    ahead = workers if ahead is None else ahead
    waiting: deque[Future[Result]] = deque()
    rest = iter(tasks)
    with ThreadPoolExecutor(workers, thread_name_prefix="in_order") as pool:
        try:
            while True:
                try:
                    task = next(rest)
                except StopIteration:
                    break
                except Exception:
                    while waiting:
                        yield waiting.popleft().result()
                    raise
                waiting.append(pool.submit(task))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops in the middle does not wait for what has not begun.
            for future in waiting:
                future.cancel()


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, *, ahead: int | None = None
) -> Iterator[Result]:
    """Yield the results of a function for some items in their order; without threads where they cannot help."""
    if workers < 2 or len(items) < 2:
        return map(function, items)
    return in_order((partial(function, item) for item in items), min(workers, len(items)), ahead=ahead)
