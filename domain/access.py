"""Access: what a key may do, and how a key is written."""

import re
from collections.abc import Collection
from typing import Literal, get_args

Scope = Literal["events:write", "events:read", "replay", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a key may be allowed; `admin` is allowed everything."""

KEY = re.compile(r"ph_(?P<id>[0-9a-f]{10})_(?P<secret>[A-Za-z0-9_-]{43})")
"""A key: who it is, which is no secret, and 256 random bits in URL-safe base64 (RFC 4648, section 5)."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""A key's name, which stands in logs and in the audit."""


def allows(scopes: Collection[str], needed: Scope) -> bool:
    """Whether a key with these scopes may do what needs one."""
    return needed in scopes or "admin" in scopes
