"""Anonymising: an event without what tells whom it is about, of the same form, so that it takes the same way."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from msgspec import structs
from pydantic import BaseModel
from pydantic_core import to_json

from domain.differences import is_within
from domain.events import RecordedEvent, lane_of
from domain.json_faults import pointer
from domain.pseudonyms import Pseudonyms, moved
from domain.strict_json import decode
from domain.upcasting import Schema

_NAME_IN_CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymiser:
    """Puts pseudonyms for the texts of events: in data, subject, source, key and attributes; for ids and times too.

    What a schema itself says stays: the names of members, and the values of enums, literals and defaults. Of data in
    an older version, whose model is gone, each name stays that has the form of one in code. Numbers stay, but for
    those at or below a pointer of `replaced`; texts at or below one of `kept` stay. Pointers (RFC 6901) lead from the
    event, as `/data/carrier` does; `*` stands for any one member. Position, type and route stay.
    """

    pseudonyms: Pseudonyms
    kept: Sequence[str] = ()
    replaced: Sequence[str] = ()

    def event(self, event: RecordedEvent, schema: Schema) -> RecordedEvent:
        """The event under pseudonyms. Its times are moved by as many weeks as those of all events of its subject."""
        names, values = _said_by(schema.model)
        texts = _Event(
            rules=self,
            names=names,
            values=values,
            old=event.schema_version < schema.version,
            weeks=self.pseudonyms.weeks(event.subject or event.id),
        )
        subject = texts.value(event.subject, ("subject",))
        return structs.replace(
            event,
            id=self.pseudonyms.uuid(event.id),
            source=texts.value(event.source, ("source",)),
            subject=subject,
            time=moved(event.time, texts.weeks),
            recorded_at=moved(event.recorded_at, texts.weeks),
            lane=lane_of(subject),
            key=texts.value(event.key, ("key",)),
            cause=event.cause and self.pseudonyms.uuid(event.cause),
            attributes={name: texts.value(value, ("attributes", name)) for name, value in event.attributes.items()},
            data=to_json(texts.value(decode(event.data), ("data",))).decode(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """What is replaced in one event: `names` and `values` are its schema's words, `old` says that it had another."""

    rules: Anonymiser
    names: frozenset[str]
    values: frozenset[str]
    old: bool
    weeks: int

    def value(self, value: Any, path: tuple[str, ...]) -> Any:
        """A JSON value under pseudonyms."""
        if isinstance(value, dict):
            return {self._name(name, path): self.value(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*path, str(number))) for number, inner in enumerate(value)]
        if isinstance(value, str):
            stays = value in self.values or is_within(pointer(path), self.rules.kept)
            return value if stays else self.rules.pseudonyms.text(value, weeks=self.weeks)
        if isinstance(value, bool) or value is None or not is_within(pointer(path), self.rules.replaced):
            return value
        return self.rules.pseudonyms.number(value)

    def _name(self, name: str, path: tuple[str, ...]) -> str:
        if name in self.names or (self.old and _NAME_IN_CODE.fullmatch(name)):
            return name
        if any(_names(rule.split("/"), pointer((*path, name)).split("/")) for rule in self.rules.kept):
            return name
        return self.rules.pseudonyms.text(name, weeks=self.weeks)


def _names(rule: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a pointer of what is kept leads by a member, by its name, or to what it is in."""
    if len(parts) <= len(rule) and rule[len(parts) - 1] == "*":
        return False
    return all(each in {"*", part} for each, part in zip(rule, parts, strict=False))


@cache  # once a model: pydantic makes the schema anew each time
def _said_by(model: type[BaseModel]) -> tuple[frozenset[str], frozenset[str]]:
    """The names of members and the values that the JSON schema of a model says."""
    words = list(_words(model.model_json_schema()))
    names, values = (frozenset(word for kind, word in words if kind == wanted) for wanted in ("name", "value"))
    return names, values


def _words(schema: Any) -> Iterator[tuple[str, str]]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _words(inner)
    elif isinstance(schema, dict):
        for keyword, inner in schema.items():
            if keyword in {"properties", "$defs"}:
                if keyword == "properties":
                    yield from (("name", name) for name in inner)
                yield from _words([*inner.values()])
            elif keyword in {"enum", "const", "default"}:
                values = inner if isinstance(inner, list) else [inner]
                yield from (("value", value) for value in values if isinstance(value, str))
            else:
                yield from _words(inner)
