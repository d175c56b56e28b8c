"""Those outside of the service: senders who remember what they were told, readers who follow, and bad weather."""

from collections.abc import Callable
from datetime import timedelta

from pydantic_core import to_json

from application.subscription import Selection
from domain.envelopes import Submission
from tests.reliability import pipelines
from tests.reliability.history import History, Request
from tests.reliability.simulator.loop import Actor
from tests.reliability.simulator.oracle import gaps
from tests.reliability.simulator.processes import Api, Process, Site

KINDS = ("plain", "plain", "asks", "hiccup", "storm", "breaks", "kills", "slow", "slow", "unknown", "wrong")
PATIENCE = 8.0
"""Seconds that a sender waits for an answer."""
TRIES = 12
GUST_SECONDS = 1.5
EVENTS = 6
"""What one sender sends."""


class Sender(Actor):
    """Sends events, some again and some with another's key, to any API; it never forgets what it was told."""

    def __init__(self, number: int, site: Site, apis: list[Api], history: History) -> None:
        super().__init__(f"sender-{number}")
        self.done = False
        self._number = number
        self._site = site
        self._loop = site.loop
        self._apis = apis
        self._history = history
        self._loop.spawn(self, "send", self._send_all)

    def _send_all(self) -> None:
        random = self._loop.random
        for ordinal in range(EVENTS):
            self._loop.pause(3.0 * random.random())
            request = self._request(100 * self._number + ordinal)
            while not self._send(request) and request.submission.key is not None and len(request.answers) < TRIES:
                self._loop.pause(random.random())
            if request.submission.key is not None and random.random() < 0.2:
                self._send(request)
            if request.submission.key is not None and random.random() < 0.1:
                self._send(self._request(100 * self._number + 50 + ordinal, key=request.submission.key))
        self.done = True

    def _request(self, number: int, *, key: str | None = None) -> Request:
        random = self._loop.random
        kind = KINDS[int(random.random() * len(KINDS))]
        if key is None and random.random() < 0.8:
            key = f"key-{number}"
        later = random.random() < 0.15
        data = {"number": "many" if kind == "wrong" else number, "kind": kind, "more": int(3 * random.random())}
        if kind in {"unknown", "wrong"}:
            data["kind"] = "plain"
        submission = Submission(
            type=pipelines.UNKNOWN if kind == "unknown" else pipelines.PLACED,
            data=to_json(data).decode(),
            source="shop",
            subject=f"subject-{int(4 * random.random())}",
            key=key,
            not_before=self._loop.time() + timedelta(seconds=20 * random.random()) if later else None,
            expected_version=self._version() if random.random() < 0.1 else None,
        )
        return self._history.request(submission, kind)

    def _version(self) -> int:
        return int(self._loop.random.random() * (1 + self._site.store.events.head()))

    def _send(self, request: Request) -> bool:
        """Send once; whether there was an answer."""
        loop = self._loop
        up = [api for api in self._apis if api.alive]
        if not up:
            return False
        api = up[int(loop.random.random() * len(up))]
        answer = api.post(request.submission)
        until = loop.now + PATIENCE
        while not answer.ended and loop.now < until and api.alive:
            loop.pause(0.5)
        request.answered(answer.verdict)
        self._site.around.note(f"{request.submission.data} {request.submission.key}: {request.answers[-1]}")
        return answer.verdict is not None


class Reader(Actor):
    """Follows both logs past every wrapper: what one sees, everybody could."""

    def __init__(self, site: Site) -> None:
        super().__init__("reader")
        self._loop = site.loop
        report = site.around.oracle.wrong.append
        store = site.store
        readers = (
            ("events", lambda after: [row.position for row in store.events.read(Selection(after=after), limit=100)]),
            (
                "contexts",
                lambda after: [row.position for row in store.contexts.read(Selection(after=after), limit=100)],
            ),
        )
        for name, read in readers:
            self._follow(name, read, report)

    def _follow(self, name: str, read: Callable[[int], list[int]], report: Callable[[str], None]) -> None:
        def run() -> None:
            for _ in gaps(name, read, report):
                self._loop.pause(0.3 * self._loop.random.random())

        self._loop.spawn(self, name, run)


class Gusts(Actor):
    """What happens every now and then, as the weather has it."""

    def __init__(self, site: Site, processes: list[Process]) -> None:
        super().__init__("weather")
        self._site = site
        self._loop = site.loop
        self._processes = processes
        self._loop.spawn(self, "gusts", self._blow)

    def _blow(self) -> None:
        around, random = self._site.around, self._loop.random
        while True:
            self._loop.pause(2 * GUST_SECONDS * random.random())
            alive = [process for process in self._processes if process.alive]
            if alive and around.strikes("kills"):
                self._loop.kill(alive[int(random.random() * len(alive))])
            if around.strikes("broker_emptied"):
                self._site.broker.empty()
            if around.strikes("bells_forged"):
                self._site.broker.send(0.0, *self._forged())
            if around.strikes("database_away"):
                around.database_away_until = self._loop.now + 4.0 * random.random()
            if around.strikes("search_away"):
                around.search_away_until = self._loop.now + 8.0 * random.random()
            if around.strikes("index_deleted"):
                self._site.index.delete()

    def _forged(self) -> tuple[str, object]:
        random, events = self._loop.random, self._site.store.events.read(Selection(), limit=100)
        forged: list[tuple[str, object]] = [
            ("process", "no id"),
            ("process", None),
            ("process", 7),
            ("ring", "nobody"),
            ("ring", ["orders"]),
            ("ring", "replay-1"),
            ("ring", "orders"),
            *(("process", event.id) for event in events),
        ]
        return forged[int(random.random() * len(forged))]
