"""Indices: making, extending and replacing the index behind an alias, with other processes at the same."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from application.ports.search_index import FieldType, Index, Label
from domain.errors import Misconfigured, Unavailable
from infrastructure.elasticsearch.client import reason
from infrastructure.search.entries import MAX_KEYWORD
from infrastructure.search.labels import label_of, members_of
from infrastructure.search.values import TEXT, merged

# A copy of each shard where there is a second node to hold it.
_SETTINGS = {"auto_expand_replicas": "0-1", "refresh_interval": "1s"}
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "keyword": {"type": "keyword", "ignore_above": MAX_KEYWORD},
    "long": {"type": "long"},
    "double": {"type": "double"},
    "boolean": {"type": "boolean"},
    "date": {"type": "date"},
}
# Words are split before they come here; who asks the server directly has plain text split.
_WORDS = {"type": "text", "analyzer": "whitespace", "search_analyzer": "standard"}
_ATTEMPTS = 20
"""How often other processes may get in the way; each time, one of them is done."""


def fields_and_label(client: Elasticsearch, target: str) -> tuple[str, dict[str, FieldType], Label | None]:
    """The index that a name or an alias leads to, its fields and its label.

    Raises:
        NotFoundError: there is none.
    """
    [(name, found)] = client.indices.get_mapping(index=target).items()
    return name, *_read(found["mappings"])


def _read(mappings: Mapping[str, Any]) -> tuple[dict[str, FieldType], Label | None]:
    properties = mappings.get("properties", {})
    fields = {name: known["type"] for name, known in properties.items() if known.get("type") in _TYPES}
    return fields, label_of(mappings.get("_meta", {}))


def list_indices(client: Elasticsearch, alias: str) -> list[Index]:
    """Every index of ours that is whole made, the oldest first."""
    found = []
    for name, index in sorted(_ours(client, alias).items()):
        key = next((each for each in index["aliases"] if each.startswith(f"{name}-")), None)
        # Without it, somebody else's making of it died on the way.
        if key is not None:
            fields, label = _read(index["mappings"])
            found.append(Index(name=name, key=key, serves=alias in index["aliases"], label=label, fields=fields))
    return found


def make_or_extend(
    client: Elasticsearch,
    alias: str,
    fields: Mapping[str, FieldType],
    anew: Callable[[], None] = lambda: None,
    *,
    shards: int,
) -> None:
    """Make the index behind the alias, after `anew`, and add the fields that indices lack.

    Raises:
        Misconfigured: a field exists with another type.
    """
    for _ in range(_ATTEMPTS):
        # Names first, then the alias: an index made in between has our number, or shows behind the alias.
        names = _numbered(client, alias)
        if not client.indices.exists_alias(name=alias):
            anew()
            if _make(client, alias, names, fields, aliased=True, shards=shards) is None:
                continue
        for index in _ours(client, alias):
            with suppress(NotFoundError):  # somebody dropped it
                _extend(client, index, fields)
        return
    raise _others_at_it(alias)


def holds_nothing(client: Elasticsearch, alias: str) -> bool:
    """Whether the index is known to hold no document; one of which a shard has not started yet is not known.

    Asked of the index alone: the health of the cluster is told only to who may monitor the cluster.
    """
    [(name, known)] = client.indices.get_settings(index=alias, flat_settings=True).items()
    found = client.indices.stats(index=alias, metric="docs", level="shards")["indices"].get(name, {}).get("shards", {})
    copies = [copy for shard in found.values() for copy in shard]
    primaries = [copy["docs"]["count"] for copy in copies if copy["routing"]["primary"] and "docs" in copy]
    return len(primaries) == int(known["settings"]["index.number_of_shards"]) and not any(primaries)


def make_beside(
    client: Elasticsearch, alias: str, fields: Mapping[str, FieldType], label: Label, *, shards: int
) -> Index:
    """Make an empty index that the alias does not lead to."""
    for _ in range(_ATTEMPTS):
        names = _numbered(client, alias)
        made = _make(client, alias, names, fields, aliased=False, meta=members_of(label), shards=shards)
        if made is not None:
            return next(index for index in list_indices(client, alias) if index.name == made)
    raise _others_at_it(alias)


def _extend(client: Elasticsearch, index: str, fields: Mapping[str, FieldType]) -> None:
    _, present, _ = fields_and_label(client, index)
    added = {name: type_ for name, type_ in merged(present, fields).items() if name not in present}
    if not added:
        return
    try:
        client.indices.put_mapping(index=index, properties=_properties(added))
    except BadRequestError as error:
        raise Misconfigured(f"The index {index!r} does not take new fields: {reason(error)}.") from error


def _ours(client: Elasticsearch, alias: str) -> dict[str, Any]:
    """The indices that bear our name, whether the alias leads to them or not."""
    ours = re.compile(rf"{re.escape(alias)}-\d{{6}}")
    found = client.indices.get(index=f"{alias}-*", features=["aliases", "mappings"])
    return {name: index for name, index in found.items() if ours.fullmatch(name)}


def _numbered(client: Elasticsearch, alias: str) -> list[str]:
    return list(_ours(client, alias))


def _make(
    client: Elasticsearch,
    alias: str,
    names: Sequence[str],
    fields: Mapping[str, FieldType],
    *,
    aliased: bool,
    shards: int,
    meta: Mapping[str, Any] | None = None,
) -> str | None:
    """Make the index of the next number and give its name; None when another process was first."""
    number = 1 + max((int(name[-6:]) for name in names), default=0)
    made = f"{alias}-{number:06}"
    # Documents are written through an alias of its own, whose letters no later index of this number has.
    own = f"{made}-{token_hex(4)}"
    try:
        client.indices.create(
            index=made,
            aliases={name: {} for name in ([own, alias] if aliased else [own])},
            settings={**_SETTINGS, "number_of_shards": shards},
            mappings={
                "dynamic": False,
                # The words are for searching; answers show the strings that they came from.
                "_source": {"excludes": [TEXT]},
                "_meta": dict(meta or {}),
                "properties": {**_properties(merged({}, fields)), TEXT: _WORDS},
            },
        )
    except BadRequestError as error:
        if error.error == "resource_already_exists_exception":
            return None
        raise Misconfigured(f"The search index {made!r} cannot be made: {reason(error)}.") from error
    return made


def serve(client: Elasticsearch, alias: str, index: Index) -> None:
    """Lead the alias to this index, in one step.

    Raises:
        NotFoundError: the index is not there.
    """
    name, _, _ = fields_and_label(client, index.key)
    # What was put a moment ago is not found yet, and the index before found it.
    client.indices.refresh(index=name)
    for _ in range(_ATTEMPTS):
        before = [other for other, about in _ours(client, alias).items() if alias in about["aliases"]]
        if before == [name]:
            return
        moved = [{"remove": {"index": other, "alias": alias, "must_exist": True}} for other in before if other != name]
        try:
            client.indices.update_aliases(actions=[*moved, {"add": {"index": name, "alias": alias}}])
        except NotFoundError:
            fields_and_label(client, index.key)
            continue
        return
    raise _others_at_it(alias)


def _properties(fields: Mapping[str, FieldType]) -> dict[str, Any]:
    return {name: _TYPES[type_] for name, type_ in fields.items()}


def _others_at_it(alias: str) -> Unavailable:
    return Unavailable(f"Other processes keep making the search index {alias!r}; try again.")
