"""Guard: resolves a host once, and lets only public or allowed addresses be connected to."""

import queue
import socket
import threading
from collections.abc import Callable, Sequence

from domain.outgoing import Allowed, Place, refusal_of

RESOLVE_SECONDS = 3.0

Resolve = Callable[[str, int], Sequence[str]]


class Refused(Exception):  # says what happened, as the errors of the domain do
    """The place may not be called; nothing was connected to."""


class Guard:
    """What may be called: the public, and what the operator allows (OUTGOING_ALLOW)."""

    def __init__(self, allowed: Sequence[Allowed] = (), *, resolve: Resolve | None = None) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve or resolved

    def addresses_of(self, place: Place) -> Sequence[str]:
        """The addresses to connect to. Asked once: what a second look-up would answer plays no part.

        Raises:
            Refused: one of its addresses is neither public nor allowed.
            OSError: the name cannot be resolved.
        """
        addresses = list(dict.fromkeys(self._resolve(place.host, place.port)))
        refusal = refusal_of(place, addresses, self._allowed)
        if refusal is not None:
            raise Refused(
                f"The call was not sent: {refusal}. OUTGOING_ALLOW names what may be called beside the public internet."
            )
        return addresses


def resolved(host: str, port: int) -> list[str]:
    """Every address of a host, within seconds; of an address, itself.

    Raises:
        OSError: there is none, or no answer in time.
    """
    found: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([str(answer[4][0]) for answer in answers])
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(str(error)))

    # The system's resolver knows no time-out: it is left behind when it takes too long.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=RESOLVE_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"{host} was not resolved within {RESOLVE_SECONDS:.0f} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer
