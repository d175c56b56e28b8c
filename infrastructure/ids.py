"""Ids: UUIDv7 (RFC 9562), ascending within a process; and the random parts of keys."""

import os
import secrets
import struct
import threading
import time

_lock = threading.Lock()
_last = 0
_drawn: list[int] = []
"""Random numbers that no id has had. Drawn many at a time, as each draw lets another thread take over."""
_DRAW = struct.Struct("512Q")
os.register_at_fork(after_in_child=_drawn.clear)


def new_id() -> str:
    """A new UUIDv7: 48 bits of milliseconds, 12 bits that count within one, 62 random bits.

    A process never gives a smaller one after a larger one (method 1 of section 6.2: a counter beside the time).
    """
    global _last  # noqa: PLW0603  # the last tick is one for the process
    with _lock:
        tick = max(time.time_ns() // 1_000_000 << 12, _last + 1)
        _last = tick
        if not _drawn:
            _drawn.extend(_DRAW.unpack(os.urandom(_DRAW.size)))
        random = _drawn.pop() & 0x3FFF_FFFF_FFFF_FFFF
    digits = (tick >> 12 << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 2 << 62 | random).to_bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_key_parts() -> tuple[str, str]:
    """The id of a new key, and its secret of 256 bits, as `domain.access.KEY` has them."""
    return secrets.token_hex(5), secrets.token_urlsafe(32)
