"""Working ahead: the next parts of a file are parsed and typed in threads while this one is taken.

Belongs here: the threads, and that nobody notices them but by the time. Does not belong here: what a part is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from metrify_assets.feeds.formats.chunk import UnreadableFile

T = TypeVar("T")


def in_order(tasks: Iterator[Callable[[], T]], workers: int = 2) -> Iterator[T]:
    """Yield the results of tasks in their order, while as many as there are workers are done at the same time.

    Worth it where the work is done by libraries that release the interpreter: Arrow and NumPy do. Memory holds the
    results of ``workers`` more tasks than without; one worker also takes the tasks in their order. What a task raises,
    or the iterator itself says of the file, is raised in its place: after the results of all tasks before it.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        try:
            for task in _raising_in_place(tasks):
                waiting.append(pool.submit(task))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops in the middle does not wait for what has not begun.
            for future in waiting:
                future.cancel()


def _raising_in_place(tasks: Iterator[Callable[[], T]]) -> Iterator[Callable[[], T]]:
    """Yield the tasks, and one that raises what the iterator raised."""
    try:
        yield from tasks
    except (OSError, UnreadableFile) as error:
        problem = error

        def fail() -> T:
            raise problem

        yield fail
