"""Controls: pipelines paused, resumed, adopted."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.auditor import Auditor
from application.ports.claims import Claims
from application.ports.controls import Controls
from application.ports.dispatcher import Dispatcher
from application.ports.event_log import EventLog
from application.subscription import Selection, Subscription
from domain.errors import InvalidRequest, NotFound
from domain.registry import PipelineRegistry


def pause(name: str, *, controls: Controls, auditor: Auditor) -> Sequence[str]:
    """Let nothing of a pipeline, or of one subscription, be claimed; the subscriptions that this means.

    Raises:
        NotFound: nothing of this name was ever loaded.
    """
    names = _named(name, controls)
    auditor.record("pipelines.pause", name, subscriptions=names)
    controls.pause(names)
    return names


def resume(name: str, *, controls: Controls, dispatcher: Dispatcher, auditor: Auditor) -> Sequence[str]:
    """Let it be claimed again; the subscriptions that this means.

    Raises:
        NotFound: nothing of this name was ever loaded.
    """
    names = _named(name, controls)
    auditor.record("pipelines.resume", name, subscriptions=names)
    controls.resume(names)
    for each in names:
        dispatcher.ring(each)
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPipeline:
    """Let the pipeline `new` end the events of `old`, which is loaded no longer."""

    old: str
    new: str


def adopt(
    command: AdoptPipeline,
    *,
    subscriptions: Sequence[Subscription],
    registry: PipelineRegistry,
    claims: Claims,
    controls: Controls,
    events: EventLog,
    dispatcher: Dispatcher,
    auditor: Auditor,
) -> int:
    """Hand over all events that have not ended; how many. `subscriptions` are all that are loaded.

    Raises:
        InvalidRequest: the old pipeline is loaded here still, or the new one does not accept a type of its events.
        NotFound: the new one is not loaded here, or the old one never was anywhere.
    """
    accepted = registry.named(command.new).accepts
    if command.old in registry:
        raise InvalidRequest(
            f"Pipeline {command.old!r} is loaded here: it ends its events itself. Adopt those of one that is gone."
        )
    _named(command.old, controls)
    lacking = set(events.count(Selection(where={"route": command.old}))) - set(accepted)
    if lacking:
        raise InvalidRequest(f"Pipeline {command.new!r} does not accept {', '.join(sorted(lacking))}.")
    takers = [each for each in subscriptions if each.route == command.new]
    claims.register(takers)
    auditor.record("pipelines.adopt", command.old, by=command.new)
    moved = controls.adopt(command.old, command.new)
    for taker in takers:
        dispatcher.ring(taker.name)
    return moved


def _named(name: str, controls: Controls) -> Sequence[str]:
    names = controls.named(name)
    if not names:
        raise NotFound(f"No process has ever loaded a pipeline or subscription called {name!r}.")
    return names
