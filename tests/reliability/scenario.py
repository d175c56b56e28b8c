"""The scenario of the crash points: about ten events through the front door, to their ends, replayed, re-indexed."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic_core import to_json
from sqlalchemy import update

from application.engine import Engine, Work
from application.ports.context_log import Origin
from application.ports.event_log import Verdict
from application.ports.search_index import SearchQuery
from application.ports.task_states import EventFilter
from application.use_cases.backlogs import is_idle
from application.use_cases.events import contexts_of, get_event
from application.use_cases.indices import rebuild_index
from application.use_cases.promoting import promote_replay, roll_back
from application.use_cases.replay import is_done, replay_status, require_same_code, subscription_of
from application.use_cases.replay_plans import PlanReplay
from application.use_cases.replay_run import MaxFailures, run_replay
from application.use_cases.replaying import RunReplay, pause_replay, replay_progress, resume_replay
from application.use_cases.results import Found, search
from application.use_cases.schedules import Clockwork, key_of
from application.use_cases.schemas import check_schemas
from application.use_cases.tasks import get_task
from application.use_cases.time_travel import list_events_as_of, moment_of
from domain.envelopes import Submission
from domain.errors import Unavailable
from infrastructure.container import Container
from infrastructure.embedded.search_index import Fts5SearchIndex
from infrastructure.sql.engine import DatabaseNow
from infrastructure.sql.models import ClaimRow
from infrastructure.sql.store import SqlStore
from tests.reliability import pipelines
from tests.reliability.faults import Died, Faults
from tests.reliability.history import History, Request
from tests.reliability.invariants import violations
from tests.reliability.process import Process, not_run, timeless
from tests.reliability.truth import Truth

SLOT = datetime(2026, 1, 1, 3, tzinfo=UTC)
ROUNDS = 40
"""After how many rounds of work, with all leases ended between them, a run counts as stuck."""
Step = Callable[[Process], None]


class Stuck(Exception):
    """The service did not come to rest."""


def submission(number: object, kind: str, *, key: str | None = None, **members: object) -> Submission:
    """A submission of an order of some kind."""
    more = 2 if kind == "asks" else 0
    type_ = str(members.pop("type", pipelines.PLACED))
    data = to_json({"number": number, "kind": kind, "more": more}).decode()
    return Submission(type=type_, data=data, source="shop", subject=f"order-{kind}", key=key, **members)  # type: ignore[arg-type]  # members of a submission


class Scenario:
    """One run of a part of the scenario with one fault, from where the part before it has ended without one.

    `sql` is for the processes of the service, `world` for who looks on from outside: one database, two pools of
    connections. `index` is the search index's file. Nobody else uses any of them.
    """

    def __init__(self, sql: SqlStore, world: SqlStore, index: Path, faults: Faults, before: History) -> None:
        self._sql = sql
        self._world = world
        self._index = index
        self._faults = faults
        self.history = deepcopy(before)
        self._registry = pipelines.registry()
        self._process: Process | None = None
        outside = pipelines.begin_anew()
        outside.kill = faults.die

    def run(self, part: str) -> list[str]:
        """Everything that was wrong at the end of a part, which is one of PARTS."""
        try:
            for step in PARTS[part](self):
                self._until_done(step)
            return self._wrong()
        except Stuck as stuck:
            return [str(stuck), *self._wrong()]
        finally:
            self._drop(died=False)

    def _wrong(self) -> list[str]:
        index = Fts5SearchIndex(self._index)
        try:
            self.history.replay = next(iter(self._world.replays.list()), None)
            return violations(Truth.of(self._world, index), self.history)
        finally:
            index.close()

    def sending(self) -> list[Step]:
        """An event and its repeat, one that asks for follow-ups, one that is refused at the door."""
        keyed = self._request(1, "plain", key="k-1")
        return [
            partial(self._send, keyed),
            partial(self._send, keyed),
            partial(self._send, self._request(2, "asks", key="k-2")),
            partial(self._send, self._request("three", "plain", key="k-3")),
            self._settle,
        ]

    def failing(self) -> list[Step]:
        """Events that are tried again, give up, or are refused by the database."""
        return [
            partial(self._send, self._request(4, "hiccup")),
            Process.work,
            partial(self._send, self._request(5, "breaks", key="k-5")),
            partial(self._send, self._request(7, "refused", key="k-7")),
            self._settle,
        ]

    def waiting(self) -> list[Step]:
        """Events that are due later or have no pipeline, and what users read of all."""
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        return [
            partial(self._send, self._request(6, "plain", not_before=in_an_hour)),
            partial(self._send, self._request(8, "plain", type=pipelines.UNKNOWN)),
            self._settle,
            self._look,
        ]

    def replaying(self) -> list[Step]:
        """All of it again, into a generation of its own."""
        return [self._replay, self._settle]

    def promoting(self) -> list[Step]:
        """That generation promoted, and looked at."""
        return [self._promote, self._settle]

    def going_back(self) -> list[Step]:
        """The promotion rolled back, and looked at."""
        return [self._roll_back, self._settle]

    def losing(self) -> list[Step]:
        """The index lost, and made anew from its beginning by a start."""
        return [self._lose, self._settle]

    def rebuilding(self) -> list[Step]:
        """The index made anew beside, by an operator."""
        return [self._rebuild, self._settle]

    def killer(self) -> list[Step]:
        """An event that kills whoever runs it, among others that shall not suffer for it."""
        requests = [self._request(number, kind, key=f"k-{number}") for number, kind in ((9, "kills"), (10, "plain"))]
        return [*(partial(self._send, request) for request in requests), self._settle]

    def stopping(self) -> list[Step]:
        """A worker that is told to stop while it holds a claim, and puts it back."""
        return [partial(self._send, self._request(11, "plain", key="k-11")), self._drain, self._settle]

    def scheduled(self) -> list[Step]:
        """A clock that sends a slot, and one that comes after it."""
        schedule = pipelines.NIGHTLY
        slot = self.history.request(
            Submission(
                type=schedule.type, data=to_json(schedule.data).decode(), source=schedule.source, key=key_of(SLOT)
            ),
            "plain",
        )
        return [partial(self._tick, slot), partial(self._tick, slot), self._settle]

    def _request(self, number: object, kind: str, **members: object) -> Request:
        return self.history.request(submission(number, kind, **members), kind)

    def _until_done(self, step: Step) -> None:
        """Do a step; begin it again where its process died or the database was away."""
        for _ in range(ROUNDS):
            try:
                return step(self._process or self._started())
            except Died:
                self._drop()
                self._let_time_pass()
            except Unavailable:
                continue
        raise Stuck(f"{step} was not done after {ROUNDS} tries")

    def _started(self) -> Process:
        """A new process that serves. One whose start fails has ended, as it does in earnest."""
        self._faults.dead = False
        process = Process(self._sql, self._index, self._registry, self._faults)
        try:
            process.start()
        except BaseException:
            process.drop()
            raise
        self._process = process
        return process

    def _drop(self, *, died: bool = True) -> None:
        if self._process is not None:
            self._process.drop(died=died)
            self._process = None

    def _let_time_pass(self, _: float = 0.0) -> None:
        """Every lease runs out, every delay is over."""
        with self._world.database.writing() as connection:
            later = update(ClaimRow).where(ClaimRow.available_at > DatabaseNow())
            connection.execute(later.values(available_at=DatabaseNow(-1.0)))

    def _send(self, request: Request, process: Process) -> None:
        """Send until there is an answer; without a key, once."""
        try:
            request.answered(process.post(request.submission))
        except (Died, Unavailable):
            request.answered(None)
            if request.submission.key is not None:
                raise
            if self._faults.dead:
                self._drop()

    def _settle(self, process: Process) -> None:
        """Work until nothing is left."""
        for _ in range(ROUNDS):
            process.work()
            if is_idle(claims=process.container.claims()) and self._is_sealed():
                return
            self._let_time_pass()
            process.sweep()
        raise Stuck("work is left after every lease and every delay has ended")

    def _drain(self, process: Process) -> None:
        """Take a claim as a worker does; stop before it ran."""
        container = process.container
        engine = container.engine()
        container.claims().take(container.subscriptions()["orders"], owner=engine.owner)
        engine.release()
        self._drop()

    def _tick(self, request: Request, process: Process) -> None:
        """Let the clock tick at which the slot of the request is due."""
        container = process.container
        clockwork = Clockwork(
            registry=self._registry,
            slots=lambda _schedule, _since: iter((SLOT, datetime.max.replace(tzinfo=UTC))),
            events=container.events(),
            dispatcher=container.dispatcher(),
            new_id=container.new_id,
            now=container.events().now,
        )
        try:
            sent = clockwork.tick()
        except (Died, Unavailable):
            request.answered(None)
            raise
        event = self._world.events.with_key(pipelines.NIGHTLY.source, key_of(SLOT))
        assert event is not None, "the clock ticked, and the slot's event is not stored"
        request.answered(Verdict(event.id, event.position, repeated=not sent))

    def _is_sealed(self) -> bool:
        backlogs = self._world.claims.backlog(["seal-events", "seal-contexts"]).values()
        return all(backlog.cursor == backlog.head and not backlog.claims for backlog in backlogs)

    def _look(self, process: Process) -> None:
        """Read as users do."""
        container = process.container
        [found, *_] = container.states().find(EventFilter(status="succeeded"), limit=10)
        event = get_event(found.event.id, events=container.events())
        contexts_of(event.id, events=container.events(), contexts=container.contexts())
        get_task(
            event.id,
            events=container.events(),
            contexts=container.contexts(),
            states=container.states(),
            registry=self._registry,
        )
        container.events().caused_by([event.id], limit=10)
        contexts = container.contexts()
        ports = {"events": container.events(), "contexts": contexts, "promotions": container.promotions()}
        moment = moment_of(container.events().now(), "events", **ports)
        list_events_as_of(EventFilter(last=1), moment, limit=1, states=container.states(), contexts=contexts)
        container.claims().claimable(container.subscriptions()["orders"])
        container.claims().ranges("orders")
        container.contexts().ended(container.contexts().head() - 1, limit=10)
        check_schemas(events=container.events(), registry=self._registry)
        self._search(container)
        container.search_index().state()
        container.find_stale()()
        container.contexts().of_origins({0: 0}, [Origin("orders", "another", pipelines.PLACED)], after=0, limit=10)

    def _search(self, container: Container) -> Found:
        return search(
            SearchQuery(q="number:2"),
            index=container.search_index(),
            claims=container.claims(),
            log_ids=container.log_ids(),
            promotions=container.promotions(),
        )

    def _replay(self, process: Process) -> None:
        """Plan a replay of what came before, unless it is planned, and run it to its end."""
        container = process.container
        ports = {"events": container.events(), "registry": self._registry, "fingerprints": container.fingerprints()}
        replays = container.replays()
        if not replays.list():
            container.plan_replay()(PlanReplay(everything=True), auditor=container.auditor(), dry_run=not_run)
        replay = replays.get(replays.list()[0].id)
        assert replay is not None
        require_same_code(replay, **ports)
        stores = {"replays": replays, "claims": container.claims()}
        if not is_done(subscription_of(replay), claims=container.claims()):
            operator = {**stores, "controls": container.controls(), "auditor": container.auditor()}
            pause_replay(replay.id, **operator)
            resume_replay(replay.id, **operator)
        for ramp in ([2], []):
            command = RunReplay(replay_id=replay.id, ramp=ramp)
            begun = container.begin_replay()(command, auditor=container.auditor())
            # Nobody who holds a claim is dead here, so that this is asked for by itself.
            container.claims().owners(f"replay-{replay.id}")
            run = container.replay_run(replay, last=begun.last, max_failures=MaxFailures(1_000))
            timeless(run.engine)
            run_replay(run, sleep=self._let_time_pass)
        replay_status(
            replay,
            claims=container.claims(),
            contexts=container.contexts(),
            promotions=container.promotions(),
        )
        replay_progress(replay, **stores, events=container.events(), contexts=container.contexts())

    def _promote(self, process: Process) -> None:
        """Promote the replay, unless it is promoted; whoever looks then sees it, in the store as in the index."""
        container = process.container
        replay = container.replays().list()[0]
        if replay.id not in container.promotions().current().promoted:
            self._change_view(partial(promote_replay, replay), container)
        self._see((replay.id,), container)

    def _roll_back(self, process: Process) -> None:
        """Go back, unless it is done."""
        container = process.container
        if container.promotions().current().promoted:
            self._change_view(roll_back, container)
        self._see((), container)

    def _change_view(self, change: Callable[..., object], container: Container) -> None:
        builder = container.index_builder(sleep=self._let_time_pass, engine_of=_timeless_engines(container))
        change(builder=builder, auditor=container.auditor())

    def _see(self, view: tuple[int, ...], container: Container) -> None:
        found = self._search(container)
        assert tuple(found.view) == view, f"search shows {found.view}, and {view} holds"
        assert found.warning is None, found.warning
        generations = {hit["generation"] for hit in found.answer.hits}
        assert not view or view[0] in generations, f"search shows generations {generations}"

    def _lose(self, process: Process) -> None:
        """Delete the index, whose next opening begins it anew."""
        self._drop(died=False)
        for path in self._index.parent.glob(f"{self._index.stem}*"):
            path.unlink()

    def _rebuild(self, process: Process) -> None:
        container = process.container
        self._change_view(rebuild_index, container)


PARTS = {
    "sending": Scenario.sending,
    "failing": Scenario.failing,
    "waiting": Scenario.waiting,
    "replaying": Scenario.replaying,
    "promoting": Scenario.promoting,
    "going back": Scenario.going_back,
    "losing": Scenario.losing,
    "rebuilding": Scenario.rebuilding,
    "killer": Scenario.killer,
    "stopping": Scenario.stopping,
    "scheduled": Scenario.scheduled,
}
"""What is done, a part after the other. Shorter parts make for shorter runs, and for as many points."""


def _timeless_engines(container: Container) -> Callable[[Work], Engine]:
    engine_of = container.engine_of()
    return lambda work: timeless(engine_of(work))
