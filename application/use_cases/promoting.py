"""Promoting: results are read from a replay's generation from now on, or no longer. Nothing is deleted."""

import time
from collections.abc import Sequence

from application.auditor import Auditor
from application.ports.promotions import View
from application.ports.replays import Replay
from application.ports.search_index import Index
from application.use_cases.indices import IndexBuilder, drop_others
from application.use_cases.replay import is_done, subscription_of
from application.use_cases.results import LOG, index_lag, shows
from domain.errors import InvalidReplay, NotCaughtUp, ViewChanged

MAX_LAG = 1_000
"""Contexts that the index may be behind the log when what it shows changes."""
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.1


def promote_replay(
    replay: Replay,
    *,
    builder: IndexBuilder,
    auditor: Auditor,
    build: bool = True,
) -> View:
    """Let the results of a replay hold, over those there were.

    An index of all that is built beside first, unless `build` is off and there is none.

    Raises:
        InvalidReplay: it is not done, or it is promoted already.
        NotCaughtUp: the index does not show all yet; says by how much.
        ViewChanged: another promotion or rollback was quicker.
        Unavailable: a store or the index cannot be reached; run again, it goes on where it was.
    """
    current = builder.promotions.current()
    if replay.id in current.promoted:
        raise InvalidReplay(f"Replay {replay.id} is promoted already.")
    if not is_done(subscription_of(replay), claims=builder.claims):
        raise InvalidReplay(f"Replay {replay.id} is not done. Run it to its end: playhead replay run {replay.id}")
    wanted = View(id=current.id + 1, promoted=(replay.id, *current.promoted), action="promote", generation=replay.id)
    return _change(wanted, builder=builder, auditor=auditor, build=build)


def roll_back(
    generation: int | None = None,
    *,
    builder: IndexBuilder,
    auditor: Auditor,
    build: bool = True,
) -> View:
    """Let the results hold that held before the generation that was promoted last. Its contexts stay.

    Raises:
        InvalidReplay: nothing is promoted, or another than the given generation was promoted last.
        NotCaughtUp, ViewChanged, Unavailable: as for a promotion.
    """
    current = builder.promotions.current()
    if not current.promoted:
        raise InvalidReplay("No replay is promoted, so there is nothing to go back from.")
    if generation not in {None, current.promoted[0]}:
        raise InvalidReplay(f"Replay {generation} was not promoted last: replay {current.promoted[0]} was.")
    wanted = View(id=current.id + 1, promoted=current.promoted[1:], action="rollback", generation=current.promoted[0])
    return _change(wanted, builder=builder, auditor=auditor, build=build)


def _change(wanted: View, *, builder: IndexBuilder, auditor: Auditor, build: bool) -> View:
    ready = _ready(wanted.promoted, builder=builder)
    if ready is None and not build:
        raise NotCaughtUp(
            f"There is no whole index of this view yet. The command line builds it: playhead replay {wanted.action}"
            + (f" {wanted.generation}" if wanted.action == "promote" else "")
        )
    if ready is None:
        ready = builder.build(wanted.promoted)
    _require_caught_up(builder)
    auditor.record(f"replay.{wanted.action}", str(wanted.generation), view=list(wanted.promoted))
    before = [each.key for each in builder.index.indices() if each.serves]
    view = builder.promotions.append(wanted)
    if view is None:
        raise ViewChanged("Another promotion or rollback was quicker; look at what holds now: playhead replay list")
    # From here on whoever searches would do the same.
    builder.index.serve(ready)
    drop_others({ready.key, *before}, index=builder.index)
    return view


def _ready(view: Sequence[int], *, builder: IndexBuilder) -> Index | None:
    """An index of this view that is whole, and shows nothing that a restore of the store undid."""
    index, log_id, head = builder.index, builder.log_ids.of(LOG), builder.contexts.head()
    found = [each for each in index.indices() if shows(each, log_id, view) and index.state(each).context <= head]
    return found[-1] if found else None


def _require_caught_up(builder: IndexBuilder) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (lag := index_lag(claims=builder.claims)) > MAX_LAG:
        if time.monotonic() > deadline:
            raise NotCaughtUp(
                f"The index is {lag:,} contexts behind the log, more than {MAX_LAG:,}. Let the service work; try again."
            )
        builder.sleep(_PAUSE_SECONDS)
