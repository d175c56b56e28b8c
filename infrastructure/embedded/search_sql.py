"""Conditions and aggregations as SQL for the tables of `Fts5SearchIndex`.

A field's single value is in its column of `documents d`; several values of one document are rows of `listed`.
"""

# ruff: noqa: S608  # the columns that are written into the SQL are numbered by the index

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from application.ports.search_index import Aggregation
from infrastructure.search.conditions import (
    All,
    AnyOf,
    Between,
    Condition,
    Either,
    Everything,
    Exists,
    Like,
    Not,
    Words,
    asked_words,
    pattern_parts,
)
from infrastructure.search.request import MAX_BUCKETS, Request

_MILLISECONDS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_MONDAY = 345_600_000
"""1970-01-05, from which weeks are counted."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with the values of its question marks."""

    text: str
    values: tuple[Any, ...] = ()


def where(condition: Condition, columns: Mapping[str, str]) -> Sql:
    """A condition on `documents d`."""
    match condition:
        case Everything() | All(()):
            return Sql("1")
        case Words():
            return Sql("d.id IN (SELECT rowid FROM words WHERE words MATCH ?)", (_match(condition),))
        case Not(part):
            inner = where(part, columns)
            # A comparison with a missing value is null, and so is its NOT.
            return Sql(f"({inner.text}) IS NOT TRUE", inner.values)
        case All(parts) | Either(parts):
            inners = [where(part, columns) for part in parts]
            word = " AND " if isinstance(condition, All) else " OR "
            return Sql(
                f"({word.join(inner.text for inner in inners)})",
                tuple(value for inner in inners for value in inner.values),
            )
    column = columns[condition.field]
    own, listed = _test(condition, f"d.{column}"), _test(condition, "value")
    return Sql(
        f"({own.text} OR d.id IN (SELECT doc FROM listed WHERE field = '{column}' AND {listed.text}))",
        own.values + listed.values,
    )


def _test(condition: AnyOf | Between | Like | Exists, subject: str) -> Sql:
    match condition:
        case AnyOf(_, values):
            return Sql(f"{subject} IN ({', '.join('?' * len(values))})", values)
        case Between(_, low, high):
            ends = [(bound, sign) for bound, sign in ((low, ">"), (high, "<")) if bound is not None]
            tests = [f"{subject} {sign}{'' if bound.open else '='} ?" for bound, sign in ends]
            return Sql(" AND ".join(tests), tuple(bound.value for bound, _ in ends))
        case Like(_, pattern):
            return Sql(f"{subject} GLOB ?", (_glob(pattern),))
    return Sql(f"{subject} IS NOT NULL")


def _glob(pattern: str) -> str:
    """SQLite's GLOB has `*` and `?` too, and takes a character in brackets as it is."""
    return "".join(f"[{part}]" if part in "*?[" and not is_wild else part for part, is_wild in pattern_parts(pattern))


def _match(asked: Words) -> str:
    """Words in the language of FTS5."""
    return f'"{" ".join(asked.words)}"{" *" if asked.prefix else ""}'


def hits(request: Request, columns: Mapping[str, str]) -> Sql:
    """One page and one more: hit, sort value, position."""
    fits = where(request.condition, columns)
    position = f"d.{columns['position']}"
    join: Sql = Sql("")
    if request.sort is None:
        any_word = " OR ".join(map(_match, asked_words(request.asked)))
        join = Sql(
            "LEFT JOIN (SELECT rowid AS id, -bm25(words) AS score FROM words WHERE words MATCH ?) s ON s.id = d.id",
            (any_word,),
        )
        key = "coalesce(s.score, 0.0)"
    else:
        column, pick = columns[request.sort], "max" if request.descending else "min"
        key = f"coalesce(d.{column}, (SELECT {pick}(value) FROM listed l WHERE l.doc = d.id AND l.field = '{column}'))"
    after = Sql("1")
    if request.after is not None:
        value, at = request.after
        after = Sql("key IS NULL AND position < ?", (at,))
        if value is not None:
            sign = "<" if request.descending else ">"
            after = Sql(f"(key {sign} ? OR key IS NULL OR (key = ? AND position < ?))", (value, value, at))
    direction = "DESC" if request.descending else "ASC"
    return Sql(
        f"SELECT (SELECT hit FROM hits h WHERE h.id = found.id), key, position "
        f"FROM (SELECT d.id, {key} AS key, {position} AS position FROM documents d {join.text} "
        f"WHERE {fits.text}) found "
        f"WHERE {after.text} ORDER BY key IS NULL, key {direction}, position DESC LIMIT ?",
        (*join.values, *fits.values, *after.values, request.size + 1),
    )


def stats(aggregation: Aggregation, fits: Sql, columns: Mapping[str, str]) -> Sql:
    """One row: count, min, max, sum."""
    values = _values(aggregation.field, "value", fits, columns)
    return Sql(f"SELECT count(value), min(value), max(value), total(value) FROM ({values.text})", values.values)


def buckets(aggregation: Aggregation, fits: Sql, columns: Mapping[str, str]) -> Sql:
    """One row a bucket: key, count; with stats, then its count, min, max, sum."""
    key, order = "value", "2 DESC, 1 ASC"
    limit = aggregation.size
    if aggregation.kind == "date_histogram":
        key, order, limit = _interval(aggregation), "1 ASC", MAX_BUCKETS + 1
    keyed = _values(aggregation.field, key, fits, columns, distinct="DISTINCT ")
    extra, joins = "", ""
    if aggregation.stats is not None:
        column = columns[aggregation.stats]
        extra = (
            f", total(coalesce(s.count, d.{column} IS NOT NULL)), min(coalesce(s.low, d.{column})), "
            f"max(coalesce(s.high, d.{column})), total(coalesce(s.sum, d.{column}))"
        )
        joins = (
            "JOIN documents d ON d.id = k.id LEFT JOIN (SELECT doc, count(*) AS count, min(value) AS low, "
            "max(value) AS high, total(value) AS sum FROM listed "
            f"WHERE field = '{column}' GROUP BY doc) s ON s.doc = k.id"
        )
    return Sql(
        f"SELECT k.value, count(*){extra} FROM ({keyed.text}) k {joins} GROUP BY 1 ORDER BY {order} LIMIT {limit:d}",
        keyed.values,
    )


def _values(field: str, made: str, fits: Sql, columns: Mapping[str, str], *, distinct: str = "") -> Sql:
    """Each value of a field in the matching documents, as (id, value); `made` is an expression of `value`."""
    column = columns[field]
    return Sql(
        f"SELECT id, {made} AS value FROM (SELECT d.id, d.{column} AS value FROM documents d "
        f"WHERE d.{column} IS NOT NULL AND {fits.text}) UNION ALL "
        f"SELECT {distinct}doc, {made} FROM listed WHERE field = '{column}' "
        f"AND doc IN (SELECT d.id FROM documents d WHERE {fits.text})",
        fits.values + fits.values,
    )


def _interval(aggregation: Aggregation) -> str:
    """Where the interval of `value` begins, in milliseconds; the remainder of a time before 1970 is negative."""
    if aggregation.interval == "month":
        return "1000 * CAST(strftime('%s', value / 1000.0, 'unixepoch', 'start of month') AS INTEGER)"
    width = _MILLISECONDS[aggregation.interval]
    shift = _MONDAY if aggregation.interval == "week" else 0
    return f"value - ((value - {shift}) % {width} + {width}) % {width}"
