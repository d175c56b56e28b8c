"""Faults: what the plan names is done to the stage, at most two at a time, each written down with begin and end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.reliability.chaos.history import History
from tests.reliability.chaos.plan import Fault, Plan
from tests.reliability.chaos.recovery import Watch
from tests.reliability.chaos.stage import Slot, Stage, until

_BACK_SECONDS = 30.0
_SETTLE_SECONDS = 0.3
"""How long a server still works on what a client that was killed had asked for."""


@dataclass
class Happened:
    """A fault that was done; times in seconds since 1970. `ended` None: not over yet."""

    kind: str
    victim: str
    began: float
    ended: float | None = None


@dataclass
class Nemesis:
    """Does the faults of a plan, each track in a thread of its own."""

    stage: Stage
    plan: Plan
    watch: Watch
    history: History
    happened: list[Happened] = field(default_factory=list)
    not_begun: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def begin(self, began: float) -> list[threading.Thread]:
        """Begin; `began` is the time (of the monotonic clock) that the plan counts from."""
        threads = [
            threading.Thread(target=self._track, args=(track, began), name="faults", daemon=True)
            for track in self.plan.tracks
        ]
        for thread in threads:
            thread.start()
        return threads

    def _track(self, track: Sequence[Fault], began: float) -> None:
        end = began + self.stage.form.seconds
        for fault in track:
            time.sleep(max(0.0, began + fault.at - time.monotonic()))
            if time.monotonic() + fault.seconds > end:
                self.not_begun.append(fault.kind)
                continue
            self._do(fault)

    def _do(self, fault: Fault) -> None:
        record = Happened(fault.kind, "", time.time())
        self.happened.append(record)
        self.history.add("begin", kind=fault.kind, planned=fault.at)
        try:
            DEEDS[fault.kind](self, fault, record)
        except Exception as error:  # noqa: BLE001  # the others shall go on; the run is no success
            self.problems.append(f"{fault.kind}: {error!r}")
        record.ended = time.time()
        self.history.add("end", kind=fault.kind, victim=record.victim, began=record.began)

    def kill(self, name: str, fault: Fault, record: Happened) -> None:
        slot = self.stage.named(name, fault.draw)
        record.victim = slot.name
        starts, ids = slot.starts, self.stage.kill(slot)
        self._leave(fault.kind, ids)
        until(lambda: slot.starts > starts and slot.answers(), seconds=_BACK_SECONDS)

    def kill_child(self, fault: Fault, record: Happened) -> None:
        slot = self.stage.named("worker", fault.draw)
        record.victim = slot.name
        assert slot.process is not None
        with suppress(OSError, IndexError):
            child = slot.process.children()[0]
            os.kill(child, signal.SIGKILL)
            self._leave(fault.kind, [child])

    def pause(self, name: str, fault: Fault, record: Happened) -> None:
        """SIGSTOP to a group, and SIGCONT when its leases have run out."""
        slot: Slot = self.stage.named(name, fault.draw)
        record.victim = slot.name
        assert slot.process is not None
        process = slot.process
        with suppress(OSError):
            ids = [process.popen.pid, *process.children()]
            os.killpg(process.popen.pid, signal.SIGSTOP)
            if name == "worker":
                self._leave(fault.kind, ids)
        time.sleep(fault.seconds)
        with suppress(OSError):
            os.killpg(process.popen.pid, signal.SIGCONT)

    def stop_database(self, fault: Fault, _: Happened) -> None:
        database = self.stage.database
        assert database is not None
        database.kill()
        time.sleep(0.5 + 2 * fault.draw)
        database.start()

    def flush_broker(self, fault: Fault, _: Happened) -> None:
        assert self.stage.broker is not None
        self.stage.broker.empty()
        self.watch.events_taken_on(fault.kind, time.time())

    def kill_broker(self, fault: Fault, _: Happened) -> None:
        broker = self.stage.broker
        assert broker is not None
        broker.kill()
        time.sleep(0.5 + fault.draw)
        broker.start()
        self.watch.events_taken_on(fault.kind, time.time())

    def cut(self, link: str, _: Fault, __: Happened) -> None:
        self.stage.links[link].cut()

    def stall(self, link: str, fault: Fault, _: Happened) -> None:
        self.stage.links[link].stall()
        time.sleep(fault.seconds)
        self.stage.links[link].flow()

    def shut_search(self, fault: Fault, _: Happened) -> None:
        self.stage.links["search"].shut()
        time.sleep(fault.seconds)
        self.stage.links["search"].open()
        self.watch.results_indexed(fault.kind, time.time())

    def lose_answer(self, link: str, _: Fault, record: Happened) -> None:
        proxy = self.stage.links[link]
        before = proxy.lost
        proxy.lose(1)
        if not until(lambda: proxy.lost > before, seconds=10):
            record.victim = "none was given"
        proxy.lose(0)

    def _leave(self, kind: str, ids: Sequence[int]) -> None:
        began = time.time()
        time.sleep(_SETTLE_SECONDS)
        self.watch.claims_taken_over(kind, ids, began)


Deed = Callable[[Nemesis, Fault, Happened], None]


def _at(deed: Callable[[Nemesis, str, Fault, Happened], None], where: str) -> Deed:
    return lambda nemesis, fault, record: deed(nemesis, where, fault, record)


def _lose(nemesis: Nemesis, fault: Fault, record: Happened) -> None:
    nemesis.lose_answer("api" if nemesis.stage.form.on == "embedded" else "database", fault, record)


DEEDS: Mapping[str, Deed] = {
    **{f"{name}-kill": _at(Nemesis.kill, name) for name in ("worker", "api", "beat")},
    **{f"{name}-stop": _at(Nemesis.pause, name) for name in ("worker", "api")},
    **{f"{link}-cut": _at(Nemesis.cut, link) for link in ("database", "broker", "search", "api")},
    **{f"{link}-stall": _at(Nemesis.stall, link) for link in ("database", "broker", "search", "api")},
    "child-kill": Nemesis.kill_child,
    "database-stop": Nemesis.stop_database,
    "broker-flush": Nemesis.flush_broker,
    "broker-kill": Nemesis.kill_broker,
    "search-away": Nemesis.shut_search,
    "answer-lost": _lose,
}
"""What is done for each kind of fault."""
