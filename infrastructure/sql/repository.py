"""GenericRepository: create, get, list and stream the rows of one model on a session."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, inspect, select
from sqlalchemy.orm import Session

from infrastructure.sql.models import Model

M = TypeVar("M", bound=Model)


class GenericRepository(Generic[M]):
    """The rows of one model, in the order of their primary key.

    There is no update and no delete: what an append-only model holds is never changed, and the database refuses
    it too. Nothing is committed here; that is the session's owner to do.
    """

    def __init__(self, session: Session, model: type[M]) -> None:
        self.session = session
        self.model = model
        self._key = inspect(model).primary_key[0]

    def create(self, new: Any) -> M:
        """Store one row, given as a model instance."""
        return self.create_many([new])[0]

    def create_many(self, new: Sequence[Any]) -> list[M]:
        """Store rows in one flush, in order."""
        self.session.add_all(new)
        self.session.flush()
        return list(new)

    def get(self, identity: Any) -> M | None:
        """The row with this primary key."""
        return self.session.get(self.model, identity)

    def list(self, *conditions: ColumnElement[bool], after: Any = None, limit: int = 100) -> list[M]:
        """The first rows past a primary key that meet all conditions."""
        statement = select(self.model).where(*conditions).order_by(self._key).limit(limit)
        if after is not None:
            statement = statement.where(self._key > after)
        return list(self.session.scalars(statement))

    def stream(self, *conditions: ColumnElement[bool], page: int = 500) -> Iterator[M]:
        """All rows that meet the conditions, read a page at a time, so that memory stays flat."""
        after = None
        while rows := self.list(*conditions, after=after, limit=page):
            after = self._key_of(rows[-1])
            yield from rows
            for row in rows:
                self.session.expunge(row)

    def _key_of(self, row: M) -> Any:
        return inspect(self.model).primary_key_from_instance(row)[0]
