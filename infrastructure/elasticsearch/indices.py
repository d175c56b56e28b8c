"""Indices: making, extending and replacing the index behind an alias, with other processes at the same."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from application.ports.search_index import FieldType
from domain.errors import Misconfigured, Unavailable
from infrastructure.elasticsearch.client import reason
from infrastructure.search.entries import MAX_KEYWORD
from infrastructure.search.values import TEXT, merged

_SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "1s"}
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


def fields_behind(client: Elasticsearch, alias: str) -> dict[str, FieldType]:
    """The fields of the index behind the alias.

    Raises:
        NotFoundError: there is none.
    """
    return shown_behind(client, alias)[0]


def shown_behind(client: Elasticsearch, alias: str) -> tuple[dict[str, FieldType], str | None]:
    """The fields of the index behind the alias, and its label.

    Raises:
        NotFoundError: there is none.
    """
    [mapping] = client.indices.get_mapping(index=alias).values()
    properties = mapping["mappings"].get("properties", {})
    fields = {name: known["type"] for name, known in properties.items() if known.get("type") in _TYPES}
    return fields, mapping["mappings"].get("_meta", {}).get("log_id")


def make_or_extend(
    client: Elasticsearch, alias: str, fields: Mapping[str, FieldType], anew: Callable[[], None] = lambda: None
) -> None:
    """Make the index behind the alias, after `anew`, or add the fields that it lacks.

    Raises:
        Misconfigured: a field exists with another type.
    """
    for _ in range(_ATTEMPTS):
        # Names first, then the alias: an index made in between has our number, or shows behind the alias.
        names = _numbered(client, alias)
        try:
            present = fields_behind(client, alias)
        except NotFoundError:
            anew()
            if _make(client, alias, names, fields, aliased=True):
                return
        else:
            _extend(client, alias, present, fields)
            return
    raise _others_at_it(alias)


def holds_nothing(client: Elasticsearch, alias: str) -> bool:
    """Whether the index is known to hold no document; one whose shard has not started yet is not known."""
    stats = client.indices.stats(index=alias, metric="docs")
    started = stats["_shards"]["successful"] > 0
    return bool(started and stats["_all"]["primaries"]["docs"]["count"] == 0)


def replace(client: Elasticsearch, alias: str, fields: Mapping[str, FieldType]) -> None:
    """Put a new, empty index behind the alias and delete the ones before."""
    for _ in range(_ATTEMPTS):
        names = _numbered(client, alias)
        aliased = not client.indices.exists_alias(name=alias)
        made = _make(client, alias, names, fields, aliased=aliased)
        if made is None:
            continue
        if not aliased and not _swap(client, alias, made):
            # Another process began after us and was faster; its index is as empty as ours.
            make_or_extend(client, alias, fields)
        return
    raise _others_at_it(alias)


def _extend(
    client: Elasticsearch, alias: str, present: Mapping[str, FieldType], fields: Mapping[str, FieldType]
) -> None:
    added = {name: type_ for name, type_ in merged(present, fields).items() if name not in present}
    if not added:
        return
    try:
        client.indices.put_mapping(index=alias, properties=_properties(added))
    except BadRequestError as error:
        raise Misconfigured(f"The index behind {alias!r} does not take new fields: {reason(error)}.") from error


def _numbered(client: Elasticsearch, alias: str) -> list[str]:
    """The indices that bear our name, whether the alias leads to them or not."""
    ours = re.compile(rf"{re.escape(alias)}-\d{{6}}")
    return [name for name in client.indices.get(index=f"{alias}-*", features=["aliases"]) if ours.fullmatch(name)]


def _make(
    client: Elasticsearch,
    alias: str,
    names: Sequence[str],
    fields: Mapping[str, FieldType],
    *,
    aliased: bool,
) -> str | None:
    """Make the index of the next number and give its name; None when another process was first."""
    number = 1 + max((int(name[-6:]) for name in names), default=0)
    made = f"{alias}-{number:06}"
    try:
        client.indices.create(
            index=made,
            aliases={alias: {}} if aliased else {},
            settings=_SETTINGS,
            mappings={
                "dynamic": False,
                # The words are for searching; answers show the strings that they came from.
                "_source": {"excludes": [TEXT]},
                "properties": {**_properties(merged({}, fields)), TEXT: _WORDS},
            },
        )
    except BadRequestError as error:
        if error.error == "resource_already_exists_exception":
            return None
        raise Misconfigured(f"The search index {made!r} cannot be made: {reason(error)}.") from error
    return made


def _swap(client: Elasticsearch, alias: str, made: str) -> bool:
    """Lead the alias to this index and delete the ones before in one step; False when a later one is there."""
    for _ in range(_ATTEMPTS):
        names = _numbered(client, alias)
        if made not in names or max(client.indices.get_alias(name=alias)) > made:
            client.indices.delete(index=made, ignore_unavailable=True)
            return False
        deleted = [{"remove_index": {"index": name}} for name in names if name < made]
        try:
            client.indices.update_aliases(actions=[{"add": {"index": made, "alias": alias}}, *deleted])
        except NotFoundError:
            continue
        return True
    raise _others_at_it(alias)


def _properties(fields: Mapping[str, FieldType]) -> dict[str, Any]:
    return {name: _TYPES[type_] for name, type_ in fields.items()}


def _others_at_it(alias: str) -> Unavailable:
    return Unavailable(f"Other processes keep making the search index {alias!r}; try again.")
