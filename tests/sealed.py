"""A sealed past: events and contexts in seals of ten, an anchor, and a superuser who may change all of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from application.engine import Batch
from application.ports.anchor import Anchor
from application.ports.claims import Claim, Completion
from application.ports.log_ids import LogIds
from application.ports.seals import Seals
from application.subscription import Log, Selection, Subscription, of_pipeline
from application.use_cases.sealing import places, seal_rows
from application.use_cases.verifying import VerifyLogs, verify
from domain.seals import Seal, seal_of
from infrastructure.anchor_file import FileAnchor
from infrastructure.sql.store import SqlStore
from tests.factories import NewContextFactory, NewEventFactory
from tests.stores import Store
from tests.unit.engines import MemoryJournal

ORDERS = of_pipeline("orders", batch=10)


def seal_up(log: Log, store: Any, *, anchor: Anchor | None = None, last: int | None = None) -> list[Any]:
    """Work a claim of the whole log (or up to a position), as a sealing subscription does; its outcomes."""
    end = store.seals.ends(log).last if last is None else last
    claim = Claim(id=1, subscription="seal", first=1, last=end, attempt=0, deaths=0, fence=1)
    rows = places(Selection(last=end), end)
    subscription = Subscription(name="seal", log=log, in_order=True)
    batch = Batch(claim=claim, subscription=subscription, rows=rows, stopping=lambda: False)
    return list(seal_rows(batch, log=log, seals=store.seals, anchor=anchor, journal=MemoryJournal()))


def grow(store: SqlStore | Store, seals: int, *, anchor: Anchor | None = None) -> None:
    """Append ten events and their contexts for each seal, and seal them."""
    store.claims.register([ORDERS])
    for _ in range(seals):
        run(store, 10)
        for log in ("events", "task_contexts"):
            seal_up(log, store, anchor=anchor)


def run(store: SqlStore | Store, count: int) -> None:
    """Append events and a completed context of each."""
    store.events.append(NewEventFactory.build_batch(count))
    while (claim := store.claims.take(ORDERS, owner="w")) is not None:
        contexts = [NewContextFactory(event_position=position) for position in range(claim.first, claim.last + 1)]
        assert store.claims.complete(claim, Completion(contexts=contexts))


_STAMP = """
UPDATE seals SET last_position = :last, content = :content, previous = :previous, chain = :chain, digests = :digests
WHERE log = :log AND first_position = :first
"""


@dataclass(frozen=True, kw_only=True)
class Past:
    """Forty sealed and five unsealed events and contexts, with an anchor; `execute` is what a superuser may do."""

    store: SqlStore
    anchor: FileAnchor

    @classmethod
    def of(cls, store: SqlStore, folder: Path) -> "Past":
        anchor = FileAnchor(folder / "anchor.ndjson")
        grow(store, 4, anchor=anchor)
        run(store, 5)
        return cls(store=store, anchor=anchor)

    def execute(self, statements: Iterable[str], **parameters: Any) -> None:
        """Run statements with all triggers gone."""
        with self.store.database.writing() as connection:
            for trigger, table in _triggers(connection):
                on = f" ON {table}" if self.store.database.is_postgres else ""
                connection.execute(text(f"DROP TRIGGER {trigger}{on}"))
            for statement in statements:
                connection.execute(text(statement), parameters)

    def stamp(self, seal: Seal) -> None:
        """Put a seal in the place of the one that begins where it begins."""
        names = ("log", "first", "last", "content", "previous", "chain", "digests")
        self.execute([_STAMP], **{name: getattr(seal, name) for name in names})

    def stamp_anew(self, firsts: Iterable[int]) -> None:
        """Make seals of the events anew, from the rows as they are now and the seal before."""
        seals = self.store.seals
        for first in firsts:
            before = seals.at("events", first - 1)
            old = seals.at("events", first)
            assert before is not None
            assert old is not None
            digests = [digest for _, digest in seals.digests("events", after=first - 1, limit=10)]
            self.stamp(seal_of(log="events", log_id=old.log_id, first=first, digests=digests, previous=before.chain))

    def found(self, *, anchored: bool, since: int = 1) -> dict[str, dict[str, int]]:
        """What `verify` finds in each log: the first position of each kind."""
        return found(self.store.seals, self.store.log_ids, self.anchor if anchored else None, since=since)


def found(seals: Seals, log_ids: LogIds, anchor: Anchor | None, *, since: int = 1) -> dict[str, dict[str, int]]:
    verified = verify(VerifyLogs(since=since), seals=seals, log_ids=log_ids, anchor=anchor)
    return {
        each.log: {finding.kind: finding.position for finding in each.findings} for each in verified if each.findings
    }


def _triggers(connection: Any) -> list[Any]:
    if connection.dialect.name == "postgresql":
        query = "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%append_only'"
    else:
        query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    return list(connection.execute(text(query)))
