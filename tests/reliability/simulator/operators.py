"""Those who run commands beside the service: a replay of everything, and sometimes a rebuild of the index."""

from typing import Any

from application.heart import Heart
from application.use_cases.indices import rebuild_index
from application.use_cases.replay import is_done, subscription_of
from application.use_cases.replay_plans import PlanReplay
from application.use_cases.replay_run import run_replay
from application.use_cases.replaying import RunReplay
from domain.errors import Unavailable
from tests.reliability.process import Notes, not_run
from tests.reliability.simulator.processes import LEASE, SETTINGS, Process


class Replayer(Process):
    """An operator who plans one replay of everything, and runs it until it is done; then rebuilds the index, maybe.

    A command that finds the database away ends; the operator begins another.
    """

    done = False
    rebuilds = False

    def begin(self, store: Any, heart: Heart, journal: Notes) -> None:
        self.spawn("heart", heart._beat)
        self.spawn("replay", self._run)

    def _run(self) -> None:
        if self.done:
            return
        self.loop.pause(4.0 * self.loop.random.random())
        try:
            self._replay()
            if self.rebuilds:
                self._rebuild()
            self.done = True
        except Unavailable:
            self.loop.kill(self)

    def _replay(self) -> None:
        container = self.container
        replays = container.replays()
        if not container.events().head():
            raise Unavailable("There is nothing to replay yet.")
        if not replays.list():
            container.plan_replay()(PlanReplay(everything=True), auditor=container.auditor(), dry_run=not_run)
        replay = replays.list()[0]
        subscription = subscription_of(replay, batch=SETTINGS.claim_batch, lease=LEASE)
        container.begin_replay()(RunReplay(replay_id=replay.id), auditor=container.auditor())
        run = container.replay_run(replay, clock=self.clock)
        self.tuned(run.engine)
        run_replay(run, sleep=self.loop.pause)
        assert is_done(subscription, claims=container.claims())

    def _rebuild(self) -> None:
        container = self.container
        engine_of = container.engine_of()
        builder = container.index_builder(sleep=self.loop.pause, engine_of=lambda work: self.tuned(engine_of(work)))
        rebuild_index(builder=builder, auditor=container.auditor())
