"""Concurrency: what tests with many threads share."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, text

from infrastructure.sql.store import SqlStore

Answer = TypeVar("Answer")


def at_once(count: int, work: Callable[[int], Answer]) -> list[Answer]:
    """Run `work` with each number on a thread of its own, all begun together."""
    together = threading.Barrier(count)

    def begin(number: int) -> Answer:
        together.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@contextmanager
def transaction(store: SqlStore) -> Iterator[Connection]:
    """A connection past the store's own doors, whose statements take effect with its commit, and not without one."""
    with store.engine.connect() as connection:
        if store.database.is_postgres:
            connection.execution_options(isolation_level="READ COMMITTED")
        yield connection


@contextmanager
def rolled_back_append(store: SqlStore) -> Iterator[None]:
    """An append that holds the head of the log until the block ends, and is then undone."""
    with transaction(store) as connection:
        connection.execute(text("UPDATE heads SET position = position + 1 WHERE log = 'events'"))
        yield
        connection.rollback()
