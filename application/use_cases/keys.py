"""Keys: made, listed, revoked; and the question whether one is good."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from application.auditor import Auditor
from application.ports.api_keys import ApiKey, ApiKeys, NewApiKey
from domain.access import KEY, NAME, SCOPES, Scope
from domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey:
    """Make a key that may do what its scopes say."""

    name: str
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedKey:
    """A new key, and its text: the only time that anybody sees it."""

    key: ApiKey
    text: str


def create_key(
    command: CreateKey, *, keys: ApiKeys, auditor: Auditor, new_key_parts: Callable[[], tuple[str, str]]
) -> CreatedKey:
    """Make a key. `new_key_parts` gives an id and a secret, both random.

    Raises:
        InvalidRequest: the name is taken or cannot be one, or the scopes are none or unknown.
    """
    if not NAME.fullmatch(command.name):
        raise InvalidRequest(
            f"A key cannot be called {command.name[:80]!r}: 1 to 63 of a-z, 0-9, dot, underscore and hyphen."
        )
    unknown = sorted(set(command.scopes) - set(SCOPES))
    if unknown or not command.scopes:
        said = f"There is no scope {unknown[0][:80]!r}" if unknown else "A key without a scope may do nothing"
        raise InvalidRequest(f"{said}. The scopes are {', '.join(SCOPES)}.")
    if any(key.name == command.name for key in keys.list()):
        raise InvalidRequest(f"There is or was a key called {command.name!r}. Give another name.")
    key_id, secret = new_key_parts()
    scopes: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope in command.scopes)
    auditor.record("keys.create", command.name, id=key_id, scopes=scopes)
    kept = keys.create(NewApiKey(id=key_id, name=command.name, digest=digest_of(secret), scopes=scopes))
    return CreatedKey(key=kept, text=f"ph_{key_id}_{secret}")


def revoke_key(key_id: str, *, keys: ApiKeys, auditor: Auditor) -> ApiKey:
    """Let a key be good no longer. Services refuse it within 5 s.

    Raises:
        NotFound: there is no such key.
    """
    named = next((key.name for key in keys.list() if key.id == key_id), None)
    if named is not None:
        auditor.record("keys.revoke", named, id=key_id)
    return keys.revoke(key_id)


def has_good_key(*, keys: ApiKeys) -> bool:
    """Whether anybody can call."""
    return any(key.revoked_at is None for key in keys.list())


def good_key(text: str, *, known: Mapping[str, ApiKey]) -> ApiKey | None:
    """The key that a text is, among those that are known by their ids; None where it is none that is good."""
    parts = KEY.fullmatch(text)
    if parts is None:
        return None
    key = known.get(parts["id"])
    # An unknown id takes as long as a wrong secret.
    same = hmac.compare_digest(digest_of(parts["secret"]), key.digest if key else "0" * 64)
    return key if key is not None and same and key.revoked_at is None else None


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
