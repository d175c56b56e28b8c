"""Listing: events chosen by what does not stay as it is (a status, a query, a generation), frozen as positions."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from application.ports.context_log import ContextLog
from application.ports.search_index import SearchIndex, SearchQuery
from application.ports.task_states import EventFilter, TaskStates, TaskStatus
from application.use_cases.comparing import results_of
from domain.errors import InvalidReplay

MAX_LISTED = 100_000
"""Events that may be frozen one by one; more need a filter that means the same for ever."""
_PAGE = 1000


def list_positions(
    *,
    states: TaskStates,
    contexts: ContextLog,
    index: SearchIndex,
    status: TaskStatus | None = None,
    query: str | None = None,
    generation: int | None = None,
    stale: Iterable[int] | None = None,
) -> Sequence[int] | None:
    """The positions of the events that fit all that is asked for now, ascending; None where nothing is asked.

    `status` is that of a task, `query` is asked of the index, `generation` has a result of the event, `stale` are the
    positions of events whose result today's code could change.

    Raises:
        InvalidReplay: too many to be listed.
        InvalidQuery: the query cannot be understood.
        Unavailable: the index cannot be reached.
    """
    asked: list[set[int]] = []
    if status is not None:
        asked.append(_at_most(_with_status(status, states), f"with status {status}"))
    if query is not None:
        asked.append(_at_most(_found(query, index), "that the query finds"))
    if generation is not None:
        asked.append(_at_most(_of_generation(generation, contexts), f"of generation {generation}"))
    if stale is not None:
        asked.append(_at_most(stale, "whose results today's code could change"))
    return sorted(set.intersection(*asked)) if asked else None


def _at_most(positions: Iterable[int], what: str) -> set[int]:
    found = set(islice(positions, MAX_LISTED + 1))
    if len(found) > MAX_LISTED:
        raise InvalidReplay(
            f"There are more than {MAX_LISTED:,} events {what}. Choose by type, pipeline, time or position instead; "
            "those may be any number."
        )
    return found


def _with_status(status: TaskStatus, states: TaskStates) -> Iterator[int]:
    after = 0
    while page := states.find(EventFilter(status=status), after=after, limit=_PAGE):
        yield from (found.event.position for found in page)
        after = page[-1].event.position


def _found(query: str, index: SearchIndex) -> Iterator[int]:
    cursor = None
    while True:
        answer = index.search(SearchQuery(q=query, size=_PAGE, sort="position", cursor=cursor))
        yield from (hit["position"] for hit in answer.hits)
        cursor = answer.cursor
        if cursor is None:
            return


def _of_generation(generation: int, contexts: ContextLog) -> Iterator[int]:
    return (result.event_position for result in results_of(generation, contexts))
