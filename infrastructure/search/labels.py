"""Labels of indices, as their keepers write them down."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from application.ports.search_index import Label


def members_of(label: Label) -> dict[str, Any]:
    """A label as JSON members."""
    return asdict(label)


def label_of(members: Mapping[str, Any]) -> Label | None:
    """The label that these members are; None where they are none. What an earlier release lacked has its default."""
    if "log_id" not in members:
        return None
    known = {name: members[name] for name in Label.__slots__ if name in members}
    return Label(**known | {"view": tuple(members.get("view", ()))})
