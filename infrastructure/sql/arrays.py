"""Rows as PostgreSQL's functions take them: an array for each column."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Arrays:
    """The arrays that a function takes, in its order: for each its element's type, and what a row has there.

    A column that is null in every row is no array, and one that is the same in every row goes over the line once.
    """

    def __init__(self, columns: Mapping[str, tuple[str, Callable[[Any], Any]]]) -> None:
        self._readers = {name: read for name, (_, read) in columns.items()}
        self.places = ", ".join(_place(name, type_) for name, (type_, _) in columns.items())
        """Where they stand in the call, among parameters of the driver's."""

    def of(self, rows: Sequence[Any]) -> dict[str, Any]:
        """The parameters for these rows."""
        parameters: dict[str, Any] = {"rows": len(rows)}
        for name, read in self._readers.items():
            column = list(map(read, rows))
            first = column[0] if column else None
            alike = column.count(first) == len(column)
            parameters[name] = column if not alike else None if first is None else [first]
        return parameters


def _place(name: str, type_: str) -> str:
    array = f"%({name})b::{type_}[]"
    return f"CASE cardinality({array}) WHEN 1 THEN array_fill(({array})[1], ARRAY[%(rows)s]) ELSE {array} END"
