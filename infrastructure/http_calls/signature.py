"""Signature: the headers of Standard Webhooks, by which a receiver knows the sender and tells a repeat.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

_PREFIX = "whsec_"
_BYTES = range(24, 65)
"""How long a secret may be, says the specification."""


def secrets_of(text: str) -> tuple[bytes, ...]:
    """Read secrets, `whsec_` and base64, separated by spaces.

    Raises:
        ValueError: one of them is not so.
    """
    return tuple(map(_secret, text.split()))


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) not in _BYTES:
        raise ValueError("each secret is whsec_ and the base64 of 24 to 64 random bytes")
    return secret


def signed(effect_id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of a call; with several secrets, one signature each, so that they can be changed."""
    headers = {"webhook-id": effect_id, "webhook-timestamp": str(timestamp)}
    signing = f"{effect_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(secret, signing, hashlib.sha256).digest()).decode() for secret in secrets
    ]
    return {**headers, "webhook-signature": " ".join(signatures)} if signatures else headers
