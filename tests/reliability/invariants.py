"""What must hold when all has settled, whatever was broken on the way. Each check yields sentences of what does not.

None of them asks the code under test how a thing should be: they compare what is stored with what was sent.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from application.ports.context_log import RecordedContext
from domain.events import RecordedEvent
from tests.reliability.history import History, Request
from tests.reliability.pipelines import ATTEMPTS, PLACED
from tests.reliability.truth import Truth, run_of

ENDS = frozenset({"completed", "dead", "discarded"})
REASONS = {"storm": "TransientError", "breaks": "ZeroDivisionError", "kills": "WorkerDied"}
"""The kinds of events that end as dead letters, and why."""
Excused = Callable[[RecordedEvent, int], bool]
"""Whether the workers of an event died so often, in a generation, that it may be dead for that."""


def violations(
    truth: Truth,
    history: History,
    *,
    excused: Excused = lambda _event, _generation: False,
    ordered: Sequence[str] = (),
) -> list[str]:
    """Everything that is wrong; empty when the guarantees held. `ordered` names the pipelines that keep lanes."""
    checks = chain(
        positions(truth),
        requests(truth, history),
        strangers(truth, history),
        endings(truth, excused),
        replayed(truth, history, excused),
        follow_ups(truth),
        quiet(truth),
        states(truth),
        index(truth),
        lanes(truth, ordered),
    )
    return list(checks)


def positions(truth: Truth) -> Iterator[str]:
    """Both logs are gapless and begin at 1; no id and no key is there twice."""
    for name, rows, head in zip(("events", "contexts"), (truth.events, truth.contexts), truth.heads, strict=True):
        if [row.position for row in rows] != list(range(1, len(rows) + 1)) or head != len(rows):
            yield f"the positions of the {name} are {[row.position for row in rows]}, their head says {head}"
    for what, found in (
        ("id", Counter(event.id for event in truth.events)),
        ("key", Counter((event.source, event.key) for event in truth.events if event.key is not None)),
    ):
        yield from (f"the {what} {value} is stored {count} times" for value, count in found.items() if count > 1)


def requests(truth: Truth, history: History) -> Iterator[str]:
    """Every 202 is stored once with its bytes; an unknown answer at most once a sending; a refusal not at all."""
    stored: dict[str, list[RecordedEvent]] = {}
    for event in truth.events:
        stored.setdefault(event.data, []).append(event)
    for request in history.requests:
        found = stored.get(request.submission.data, [])
        what = f"the request {request.submission.data} (answers: {request.answers})"
        if request.accepted and not found:
            yield f"{what} was accepted and is not stored with its bytes"
        if len(found) > _most(request):
            yield f"{what} is stored {len(found)} times"
        if "refused" in request.answers[_first_yes(request) :]:
            yield f"{what} was accepted and then refused"
        if len(set(request.told)) > 1 and request.submission.key is not None:
            yield f"{what} was told several places: {request.told}"
        for place in request.told:
            if place not in [(event.id, event.position) for event in found]:
                yield f"{what} was told {place}, which is not where it is"


def _first_yes(request: Request) -> int:
    yes = [number for number, answer in enumerate(request.answers) if answer in {"taken", "repeated"}]
    return yes[0] if yes and request.submission.key is not None else len(request.answers)


def _most(request: Request) -> int:
    """How often a request may be stored."""
    taken, unknown = request.answers.count("taken"), request.answers.count("unknown")
    return min(1, taken + unknown + request.answers.count("repeated")) if request.submission.key else taken + unknown


def strangers(truth: Truth, history: History) -> Iterator[str]:
    """Nothing is stored that nobody sent, or before its subject was at the version that its sender expected."""
    sent = {request.submission.data: request.submission for request in history.requests}
    last: dict[str, int] = {}
    for event in truth.events:
        submission = sent.get(event.data)
        if event.cause is None and submission is None:
            yield f"event {event.position} was sent by nobody"
        expected = submission.expected_version if submission is not None else None
        if expected is not None and expected != last.get(event.subject, 0):
            yield f"event {event.position} expected version {expected} of a subject at {last.get(event.subject, 0)}"
        last[event.subject] = event.position


def endings(truth: Truth, excused: Excused) -> Iterator[str]:
    """Every routed event has ended once, in the way that its kind ends, with its attempts counted one by one."""
    for event in truth.events:
        rows = truth.runs.get((event.position, 0), [])
        if event.route is not None:
            yield from _wrong_end(truth, event, rows, excused(event, 0))
        elif rows:
            yield f"event {event.position} has no route and {len(rows)} contexts"


def replayed(truth: Truth, history: History, excused: Excused) -> Iterator[str]:
    """In a replay each selected event ends once, with the digest of its live run; nothing else has a context."""
    replay = history.replay
    generation = 0 if replay is None else replay.id
    for event in truth.events:
        rows = truth.runs.get((event.position, generation), []) if generation else []
        if replay is None or not replay.selection.after < event.position <= (replay.selection.last or 0):
            yield from (f"event {event.position} is not of replay {generation} and ran in it" for _ in rows)
        elif event.route is not None:
            yield from _wrong_end(truth, event, rows, excused(event, generation))
            live = [row.digest for row in truth.runs.get((event.position, 0), []) if row.status == "completed"]
            again = [row.digest for row in rows if row.status == "completed"]
            if live and again and live != again:
                yield f"event {event.position} has another digest in generation {generation}"
    others = {generation_ for _, generation_ in truth.runs} - {0, generation}
    yield from (f"generation {other} belongs to no replay" for other in sorted(others))


def _wrong_end(truth: Truth, event: RecordedEvent, rows: Sequence[RecordedContext], excused: bool) -> Iterator[str]:  # noqa: FBT001  # one fact of the event beside the others
    what = f"event {event.position} ({truth.kind(event)})"
    statuses = [row.status for row in rows]
    ends = [status for status in statuses if status in ENDS]
    if len(ends) != 1 or statuses[-1] not in ENDS:
        yield f"{what} has contexts {statuses}, not one end after failed attempts"
        return
    runs = [run_of(row) for row in rows]
    if [run["attempt"] for run in runs] != list(range(1, len(runs) + 1)):
        yield f"{what} has its attempts counted as {[run['attempt'] for run in runs]}"
    if len(runs) > ATTEMPTS:
        yield f"{what} was tried {len(runs)} times; {ATTEMPTS} are allowed"
    reason = runs[-1]["failure"]["type"] if ends == ["dead"] else None
    expected = REASONS.get(truth.kind(event)) if event.type == PLACED else None
    if reason != expected and not (reason == "WorkerDied" and excused):
        yield f"{what} ended as {ends[0]} by {reason}, not by {expected}"


def follow_ups(truth: Truth) -> Iterator[str]:
    """What a completed live run asked for is there once each, what nobody asked for is not."""
    asked: Counter[tuple[str, int]] = Counter()
    for event in truth.events:
        completed = any(row.status == "completed" for row in truth.runs.get((event.position, 0), []))
        if completed and truth.kind(event) == "asks":
            data = truth.data[event.position]
            asked.update((event.id, 1000 * data["number"] + ordinal) for ordinal in range(data["more"]))
    found = Counter(
        (event.cause, truth.data[event.position]["number"]) for event in truth.events if event.cause is not None
    )
    for what in {**asked, **found}:
        if asked[what] != found[what]:  # type: ignore[index]  # a cause is text where there is one
            yield f"the follow-up {what} was asked for {asked[what]} times and is stored {found[what]} times"  # type: ignore[index]  # as above


def quiet(truth: Truth) -> Iterator[str]:
    """No claim is left, and every subscription has read its log to the end."""
    for name, backlog in truth.backlogs.items():
        if backlog.claims:
            yield f"{name} has {backlog.claims} claims left"
        if backlog.cursor < backlog.head and not name.startswith("replay-"):
            yield f"{name} stands at {backlog.cursor} of {backlog.head}"


def states(truth: Truth) -> Iterator[str]:
    """Every event's state says how it ended."""
    words = {"completed": "succeeded", "dead": "failed", "discarded": "discarded"}
    for event, state in zip(truth.events, truth.states, strict=True):
        rows = truth.runs.get((event.position, 0), [])
        expected = "unrouted" if event.route is None else words.get(rows[-1].status if rows else "", "ended")
        if state.status != expected:
            yield f"the state of event {event.position} is {state.status}, not {expected}"


def index(truth: Truth) -> Iterator[str]:
    """The index holds the result of each completed run, of the promoted generation before the live one; no more."""
    expected = {}
    for event in truth.events:
        number = truth.data[event.position]["number"]
        for generation in (0, *reversed(truth.promoted)):
            for row in truth.runs.get((event.position, generation), []):
                if row.status == "completed":
                    expected[event.id] = (event.position, row.pipeline, generation, number, 2 * number)
    names = ("position", "pipeline", "generation", "number", "doubled")
    found = {document["event_id"]: tuple(document.get(name) for name in names) for document in truth.documents}
    if found != expected:
        wrong = sorted({**expected, **found}, key=lambda key: (expected.get(key) or found[key])[0])
        for event_id in wrong:
            if expected.get(event_id) != found.get(event_id):
                yield f"the index holds {found.get(event_id)} of {event_id}; the log says {expected.get(event_id)}"


def lanes(truth: Truth, ordered: Sequence[str]) -> Iterator[str]:
    """The live events of one lane of an ordered pipeline ended in the order of their positions."""
    ended: dict[tuple[str, int], int] = {}
    by_position = {event.position: event for event in truth.events}
    for row in truth.contexts:
        event = by_position[row.event_position]
        if row.generation or row.status not in ENDS or event.route not in ordered:
            continue
        lane = (row.pipeline, event.lane)
        if ended.get(lane, 0) > event.position:
            yield f"event {event.position} of lane {lane} ended after event {ended[lane]}"
        ended[lane] = max(ended.get(lane, 0), event.position)
