"""What the routes may touch: the ports of one container, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from application.admission import Admission
from application.appender import Appender
from application.auditor import Auditor
from application.feed import Feed
from application.follower import Follower
from application.ports.audit import Audit
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.controls import Controls
from application.ports.dead_letters import DeadLetters
from application.ports.dispatcher import Dispatcher
from application.ports.effect_ledger import EffectLedger
from application.ports.event_log import EventLog
from application.ports.log_ids import LogIds
from application.ports.promotions import Promotions
from application.ports.replays import Replays
from application.ports.search_index import SearchIndex
from application.ports.task_states import TaskStates
from application.pulse import Watchdog
from application.use_cases.biography import Biography
from application.use_cases.comparing import Comparison
from application.use_cases.indices import IndexBuilder
from application.use_cases.replay_plans import Plan
from application.use_cases.staleness import Staleness
from domain.registry import PipelineRegistry
from infrastructure.checks import Checks
from infrastructure.container import Container
from infrastructure.masking import Mask
from infrastructure.metrics import Metrics
from infrastructure.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The ports that the routes hand to the use cases."""

    settings: Settings
    mask: Mask
    registry: PipelineRegistry
    events: EventLog
    contexts: ContextLog
    claims: Claims
    ledger: EffectLedger
    log_ids: LogIds
    states: TaskStates
    dead_letters: DeadLetters
    replays: Replays
    promotions: Promotions
    index_builder: Callable[[], IndexBuilder]
    controls: Controls
    find_stale: Callable[[], Callable[[], Staleness]]
    plan_replay: Callable[[], Callable[..., Plan]]
    compare_replay: Callable[[], Callable[..., Comparison]]
    biography: Callable[[str], Biography]
    dispatcher: Dispatcher
    audit: Audit
    search_index: SearchIndex
    admission: Admission
    appender: Appender
    follower: Follower
    feed: Feed
    new_id: Callable[[], str]
    checks: Checks
    watchdog: Watchdog
    metrics: Metrics

    @classmethod
    def of(cls, container: Container) -> "Api":
        """The ports of a container."""
        return cls(
            settings=container.settings(),
            mask=container.mask(),
            registry=container.registry(),
            events=container.events(),
            contexts=container.contexts(),
            claims=container.claims(),
            ledger=container.ledger(),
            log_ids=container.log_ids(),
            states=container.states(),
            dead_letters=container.dead_letters(),
            replays=container.replays(),
            promotions=container.promotions(),
            index_builder=container.index_builder,
            controls=container.controls(),
            find_stale=container.find_stale,
            plan_replay=container.plan_replay,
            compare_replay=container.compare_replay,
            biography=container.biography,
            dispatcher=container.dispatcher(),
            audit=container.audit(),
            search_index=container.search_index(),
            admission=container.admission(),
            appender=container.appender(),
            follower=container.follower(),
            feed=container.feed(),
            new_id=container.new_id,
            checks=container.checks(),
            watchdog=container.watchdog(),
            metrics=container.metrics(),
        )

    def task_ports(self) -> dict[str, Any]:
        """What reading a task touches."""
        return {
            "events": self.events,
            "contexts": self.contexts,
            "states": self.states,
            "registry": self.registry,
        }

    def past_ports(self) -> dict[str, Any]:
        """What reading as of a moment touches."""
        return {"events": self.events, "contexts": self.contexts, "promotions": self.promotions}

    def replay_ports(self) -> dict[str, Any]:
        """What looking how far a replay is touches."""
        return {"claims": self.claims, "events": self.events, "contexts": self.contexts, "replays": self.replays}

    def control_ports(self) -> dict[str, Any]:
        """What an operator's decision about a replay touches."""
        return {"replays": self.replays, "claims": self.claims, "controls": self.controls}

    def effect_ports(self) -> dict[str, Any]:
        """What reading effects touches."""
        return {"ledger": self.ledger, "contexts": self.contexts, "claims": self.claims}


# Both without a thread: what FastAPI does for a plain function costs more than most of our answers.
async def api(request: Request) -> Api:
    """The ports of the application that a request came to."""
    found: Api = request.app.state.api
    return found


async def auditor(request: Request) -> Auditor:
    """Who asks, with the audit at hand."""
    return Auditor(request.state.actor, (await api(request)).audit)
