"""Load: seeded producers that write down each request before and after, and send again what has no answer."""

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import httpx

from tests.reliability.chaos.form import Form
from tests.reliability.chaos.history import History

SOURCE = "chaos"
PROBE_SECONDS = 0.5
MAX_BATCH = 200
NOT_NOW = frozenset({429, 503})
_SUBJECTS = 40
_MIX = {"chaos.read": 45, "chaos.noted": 12, "chaos.moved": 26, "chaos.told": 8, "chaos.asked": 5}
_AGAIN, _OTHER_BODY = 0.05, 0.06
_GRACE_SECONDS = 30.0
"""How long after the load what has no answer yet is sent again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event: its type, subject and data, to the letter."""

    type: str
    subject: str
    data: str

    @property
    def line(self) -> str:
        names = json.dumps({"type": self.type, "source": SOURCE, "subject": self.subject})
        return f'{names[:-1]},"data":{self.data}}}'


@dataclass(frozen=True, slots=True)
class Request:
    """A key and its events. `kind`: new, again (an earlier one's key and body), or other body (its key alone)."""

    key: str
    items: Sequence[Item]
    kind: str = "new"

    def repeated(self) -> "Request":
        return Request(self.key, self.items, "again")

    def with_other_body(self) -> "Request":
        """The same values, other bytes."""
        items = [Item(item.type, item.subject, item.data.replace("{", "{ ", 1)) for item in self.items]
        return Request(self.key, items, "other body")


@dataclass
class Writer:
    """Makes the requests of one producer, the same for the same seed."""

    form: Form
    number: int
    url: str

    def __post_init__(self) -> None:
        self._draw = random.Random(f"producer {self.form.seed} {self.number}")
        self._numbers = count(1)

    def next(self, room: int, passed: float) -> Request:
        """The next request, of at most `room` events, `passed` seconds into the load."""
        size = 1 if self._draw.random() < 0.3 else int(MAX_BATCH ** self._draw.random())
        key = f"p{self.number}-{next(self._numbers)}"
        return Request(key, [self._item(f"{key}/{index}", passed) for index in range(min(size, room))])

    def _item(self, nonce: str, passed: float) -> Item:
        [type_] = self._draw.choices(list(_MIX), list(_MIX.values()))
        subject = f"subject-{self._draw.randrange(_SUBJECTS)}"
        share, weight = self._draw.random(), f"{self._draw.randrange(100)}.50"
        mood = "fine"
        if type_ in {"chaos.read", "chaos.moved"} and share < 0.03:
            mood = "poison" if share < 0.012 else "transient"
        elif type_ == "chaos.read" and share > 1 - 0.4 / 400 and passed < self.form.last_deadly:
            mood = "deadly"
        elif share > 0.996:
            weight = '"none"'  # no number: refused
        url = f', "url": "{self.url}"' if type_ == "chaos.told" else ""
        # Spaces, a trailing zero and an escape: the text is to be kept as it is.
        text = f'"nonce": "{nonce}", "weight":  {weight}, "mood": "\\u{ord(mood[0]):04x}{mood[1:]}"{url}'
        return Item(type_, subject, f"{{{text}}}")


@dataclass
class Sender:
    """Sends requests until each has its answer, at alternate APIs."""

    ports: Sequence[int]
    history: History
    timeout: httpx.Timeout
    patient: bool
    give_up_at: float
    turn: int = 0

    def __post_init__(self) -> None:
        self._clients = [httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=self.timeout) for port in self.ports]

    def send(self, request: Request) -> bool:
        """Whether it was answered, each of its events with a word that stands."""
        told = [[item.type, item.subject, item.data] for item in request.items]
        for attempt in count(1):
            said = {"items": told} if attempt == 1 else {}
            self.history.add("asked", key=request.key, kind=request.kind, attempt=attempt, **said)
            wait = self._try(request, attempt)
            if wait is None:
                return True
            if time.monotonic() + wait > self.give_up_at:
                return False
            time.sleep(wait)
        raise AssertionError

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _try(self, request: Request, attempt: int) -> float | None:
        """Send it once; seconds until it is to be sent again, None when it is answered."""
        self.turn += 1
        client, began = self._clients[self.turn % len(self._clients)], time.monotonic()
        one = len(request.items) == 1
        body, type_ = ("\n".join(item.line for item in request.items), "json" if one else "x-ndjson")
        headers = {"content-type": f"application/{type_}", "idempotency-key": request.key}
        known = {"key": request.key, "kind": request.kind, "attempt": attempt}
        try:
            answer = client.post("/events" if one else "/events/batch", content=body.encode(), headers=headers)
            said = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            self.history.add("unknown", **known, ms=_since(began), error=type(error).__name__)
            return 0.2
        items = said.get("items") or [{**said, "status": answer.status_code}] * len(request.items)
        statuses = [item["status"] for item in items]
        ids = [item.get("event_id") for item in items]
        self.history.add("answered", **known, ms=_since(began), status=answer.status_code, statuses=statuses, ids=ids)
        if not NOT_NOW & set(statuses):
            return None
        return float(answer.headers.get("retry-after", 1)) if self.patient else 0.2


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


@dataclass
class Load:
    """All producers of a run, and a probe that asks twice a second and does not wait as it is told."""

    form: Form
    ports: Sequence[int]
    url: str
    threads: list[threading.Thread] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def begin(self, began: float) -> None:
        """Begin; `began` is the time (of the monotonic clock) that the load counts from."""
        jobs = [(self._produce, number) for number in range(self.form.producers)] + [(self._probe, 0)]
        for job, number in jobs:
            thread = threading.Thread(target=self._guarded, args=(job, number, began), name="producer", daemon=True)
            self.threads.append(thread)
            thread.start()

    def _guarded(self, job, number: int, began: float) -> None:
        try:
            job(number, began)
        except Exception as error:  # noqa: BLE001  # a producer that ends unheard would make a quiet run
            self.problems.append(f"producer {number}: {error!r}")

    def _sender(self, name: str, *, seconds: float, patient: bool, began: float) -> Sender:
        return Sender(
            ports=self.ports,
            history=History(self.form.folder / f"requests-{name}.jsonl"),
            timeout=httpx.Timeout(seconds, connect=min(2.0, seconds)),
            patient=patient,
            give_up_at=began + self.form.seconds + _GRACE_SECONDS,
        )

    def _produce(self, number: int, began: float) -> None:
        form = self.form
        share = (form.events - self._probes()) // form.producers
        writer = Writer(form, number, self.url)
        decide = random.Random(f"resends {form.seed} {number}")
        sender = self._sender(f"p{number}", seconds=8.0, patient=True, began=began)
        sent, known = 0, []
        while sent < share and time.monotonic() < began + form.seconds:
            time.sleep(max(0.0, began + form.seconds * 0.98 * sent / share - time.monotonic()))
            request = writer.next(share - sent, time.monotonic() - began)
            sent += len(request.items)
            self._settle(sender, request)
            known = [*known[-50:], request] if request.key not in self.unanswered else known
            draw = decide.random()
            if known and draw < _OTHER_BODY:
                old = decide.choice(known)
                again = old.repeated() if draw < _AGAIN else old.with_other_body()
                self._settle(sender, again)
        sender.close()

    def _probe(self, _: int, began: float) -> None:
        sender = self._sender("probe", seconds=2.0, patient=False, began=began)
        for number in range(self._probes()):
            time.sleep(max(0.0, began + number * PROBE_SECONDS - time.monotonic()))
            if time.monotonic() > began + self.form.seconds:
                break
            data = f'{{"nonce": "probe-{number}", "weight": 1.0}}'
            self._settle(sender, Request(f"probe-{number}", [Item("chaos.noted", "probe", data)]))
        sender.close()

    def _probes(self) -> int:
        return int(self.form.seconds / PROBE_SECONDS)

    def _settle(self, sender: Sender, request: Request) -> None:
        if not sender.send(request):
            self.unanswered.append(request.key)
