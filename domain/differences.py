"""Differences between two results of one event: which members, from which node on, and what they have in common."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_WORDS = 40
"""Characters of a text that may stand for its class; a longer one counts as free text."""
_NUMBER = (int, float)


class _Missing:
    """What is not there; JSON has no word for it, and null is a value."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A member that differs: the node that made it, where it is (RFC 6901, in the context), and both values."""

    node: str
    pointer: str
    old: Any
    new: Any

    @property
    def place(self) -> str:
        """The pointer without the numbers of a list's elements, which say nothing about the kind of difference."""
        return re.sub(r"/\d+(?=/|$)", "/*", self.pointer)

    @property
    def words(self) -> str:
        """The change in words: both values where they are one of a few, else their kinds."""
        old, new = _words(self.old), _words(self.new)
        if old == new:
            return f"another {old.split()[-1]}"
        return f"{old} → {new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts as the same.

    Numbers within `tolerance` of each other, relative to the larger one where that is over 1; and what is at a
    pointer of `ignored` or below it, where `*` stands for any one member.
    """

    tolerance: float = 0.0
    ignored: tuple[str, ...] = ()

    def ignores(self, pointer: str) -> bool:
        """Whether a pointer is at or below an ignored one."""
        return is_within(pointer, self.ignored)


def is_within(pointer: str, rules: Iterable[str]) -> bool:
    """Whether a pointer is at or below one of these, in which `*` stands for any one member."""
    parts = pointer.split("/")
    return any(_covers(each.split("/"), parts) for each in rules)


def blanked(members: Mapping[str, Any], places: Sequence[str]) -> dict[str, Any]:
    """Outputs and effects of a context's JSON members with null at each of these places, where there is something."""
    outputs = {
        name: _blanked(value, f"/outputs/{_escaped(name)}", places) for name, value in members["outputs"].items()
    }
    effects = [
        _blanked(each, f"/effects/{_escaped(each['node'])}/{each['ordinal']}", places) for each in members["effects"]
    ]
    return {"outputs": outputs, "effects": [each for each in effects if each is not None]}


def _blanked(value: Any, pointer: str, places: Sequence[str]) -> Any:
    if is_within(pointer, places):
        return None
    if isinstance(value, Mapping):
        return {name: _blanked(inner, f"{pointer}/{_escaped(name)}", places) for name, inner in value.items()}
    if isinstance(value, list):
        return [_blanked(inner, f"{pointer}/{number}", places) for number, inner in enumerate(value)]
    return value


def differences(old: Mapping[str, Any], new: Mapping[str, Any], rules: Rules) -> Sequence[Difference]:
    """What differs between the JSON members of two contexts, in the order in which the new one's nodes ran.

    Compared are the outputs of the nodes and the effects that they declared. A node that ran in one of them alone
    differs as a whole, from its output's pointer on.
    """
    found = list(_of_outputs(old["outputs"], new["outputs"]))
    found += _of_effects(old["effects"], new["effects"])
    kept = [each for each in found if not rules.ignores(each.pointer) and not _close(each.old, each.new, rules)]
    order = {name: number for number, name in enumerate({**new["outputs"], **old["outputs"]})}
    return sorted(kept, key=lambda each: order.get(each.node, len(order)))


def _of_outputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for node in {**new, **old}:
        for pointer, before, after in _members(old.get(node, MISSING), new.get(node, MISSING)):
            yield Difference(node=node, pointer=f"/outputs/{_escaped(node)}{pointer}", old=before, new=after)


def _of_effects(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    """Effects are the same one where the same node declared them as its first, second, …."""
    before, after = ({(each["node"], each["ordinal"]): each for each in effects} for effects in (old, new))
    for node, ordinal in {**after, **before}:
        known, found = before.get((node, ordinal), MISSING), after.get((node, ordinal), MISSING)
        for pointer, was, now in _members(known, found):
            yield Difference(node=node, pointer=f"/effects/{_escaped(node)}/{ordinal}{pointer}", old=was, new=now)


def _members(old: Any, new: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The pointers at which two JSON values differ; a whole subtree that one of them lacks is one difference."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**new, **old}:
            yield from _members(old.get(name, MISSING), new.get(name, MISSING), f"{pointer}/{_escaped(name)}")
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            before, after = (each[number] if number < len(each) else MISSING for each in (old, new))
            yield from _members(before, after, f"{pointer}/{number}")
    elif type(old) is not type(new) or old != new:
        yield pointer, old, new


def _close(old: Any, new: Any, rules: Rules) -> bool:
    if isinstance(old, bool) or isinstance(new, bool) or not (isinstance(old, _NUMBER) and isinstance(new, _NUMBER)):
        return False
    return abs(old - new) <= rules.tolerance * max(1.0, abs(old), abs(new))


def _covers(rule: Sequence[str], parts: Sequence[str]) -> bool:
    return len(rule) <= len(parts) and all(each in {"*", part} for each, part in zip(rule, parts, strict=False))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value if 0 < len(value) <= MAX_WORDS and not any(map(str.isdigit, value)) else "text"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, _Missing):
        return repr(value)
    return "a number" if isinstance(value, _NUMBER) else "an object" if isinstance(value, Mapping) else "a list"
