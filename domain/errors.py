"""The one tree of errors: each class is one refusal, with a stable `code` that clients may rely on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong at one place of an input: a JSON pointer (RFC 6901), a code and a sentence."""

    pointer: str
    code: str
    message: str


class PlayheadError(Exception):
    """Something Playhead refuses or cannot do, said so that a person can act on it."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str, *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)


class MalformedJson(PlayheadError):
    """The text is not the strict JSON that Playhead accepts (RFC 8259, no duplicate names, finite numbers)."""

    code = "malformed-json"


class InvalidEvent(PlayheadError):
    """The event's envelope or data does not have the shape that its form or its type asks for."""

    code = "invalid-event"


class UnknownType(PlayheadError):
    """No loaded pipeline accepts events of this type."""

    code = "unknown-type"


class KeyReused(PlayheadError):
    """The idempotency key belongs to an event with another type, subject or data."""

    code = "key-reused"


class WrongExpectedVersion(PlayheadError):
    """The subject's last event is not at the expected position."""

    code = "wrong-expected-version"

    def __init__(self, detail: str, *, current: int) -> None:
        super().__init__(detail)
        self.current = current


class CountDiffers(PlayheadError):
    """A decision about many was made on another number of them than there is."""

    code = "count-differs"

    def __init__(self, detail: str, *, count: int) -> None:
        super().__init__(detail)
        self.count = count


class AtomicRefused(PlayheadError):
    """Another member of the same all-or-nothing batch was refused, so this one was not taken either."""

    code = "atomic-refused"


class TooLarge(PlayheadError):
    """The event or the batch is larger than the limit."""

    code = "too-large"


class UnsupportedMedia(PlayheadError):
    """The body or its data is not in a form that Playhead reads."""

    code = "unsupported-media"


class InvalidRequest(PlayheadError):
    """A parameter, a cursor or a header cannot be understood."""

    code = "invalid-request"


class InvalidQuery(PlayheadError):
    """The search cannot be understood: its syntax, a field or an aggregation."""

    code = "invalid-query"


class Slow(PlayheadError):
    """The request's body did not come in time."""

    code = "request-timeout"


class Unauthenticated(PlayheadError):
    """The request has no key that is good here; which part of it is wrong is not said."""

    code = "unauthenticated"


class Forbidden(PlayheadError):
    """The key is good, and lacks the scope that the request needs."""

    code = "forbidden"

    def __init__(self, detail: str, *, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope


class NotFound(PlayheadError):
    """There is nothing of this id."""

    code = "not-found"


class InvalidPipeline(PlayheadError):
    """A pipeline's definition contradicts itself or another pipeline."""

    code = "invalid-pipeline"


class UnrunnableHere(PlayheadError):
    """The event's route accepts its type in other, newer code than this process has."""

    code = "unrunnable-here"


class NewerSchema(PlayheadError):
    """A stored event has a schema version that this code does not know yet."""

    code = "newer-schema"


class UpcastFailed(PlayheadError):
    """An upcaster raised, or made what is no JSON object; names the type, the version and the step."""

    code = "upcast-failed"


class InvalidReplay(PlayheadError):
    """The replay's selection is empty or unclear, or the code is no longer the one it was planned for."""

    code = "invalid-replay"


class InvalidCorpus(PlayheadError):
    """The file is no corpus, one of its lines cannot be read, or there is nothing in it."""

    code = "invalid-corpus"


class Misconfigured(PlayheadError):
    """A setting, or what it points to, is not what the service needs to start."""

    code = "misconfigured"


class Unavailable(PlayheadError):
    """A store cannot be reached now; what was asked may be asked again."""

    code = "unavailable"


class Overloaded(PlayheadError):
    """More events wait already than may; what was asked may be asked again after `retry_after` seconds."""

    code = "overloaded"

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Stalled(PlayheadError):
    """An engine leaves work that it could claim."""

    code = "stalled"


class EffectBusy(PlayheadError):
    """A worker carries out effects of the same event now; the operator's action may be asked for again shortly."""

    code = "effect-busy"


class CompletionRefused(PlayheadError):
    """The database refused what a finished run wanted to append."""

    code = "completion-refused"


class LogAltered(PlayheadError):
    """A log is not what its head and its seals say; it is not sealed any further."""

    code = "log-altered"


class RebuildNeeded(Unavailable):
    """The search index shows another log, or an undone future of this one. Nothing is indexed before its rebuild."""

    code = "rebuild-needed"


class NotCaughtUp(PlayheadError):
    """The index does not show yet what it would have to show."""

    code = "not-caught-up"


class ViewChanged(PlayheadError):
    """Another decision about what holds was quicker."""

    code = "view-changed"


class IndexDiffers(PlayheadError):
    """An index is not what the store says."""

    code = "index-differs"


class WorkerDied(PlayheadError):
    """Workers died, again and again, while they ran this event."""

    code = "worker-died"


class TransientError(PlayheadError):
    """Raised by a node: another attempt may succeed."""

    code = "transient"


class PermanentError(PlayheadError):
    """Raised by a handler: no further attempt can succeed."""

    code = "permanent"
