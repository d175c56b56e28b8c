"""Claims on SQL: the same statements on PostgreSQL and SQLite, but for the one call that completes a claim."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, delete, exists, func, insert, null, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError

from application.ports.claims import Backlog, Claim, Claims, Completion
from application.subscription import Subscription
from domain.errors import CompletionRefused
from infrastructure.sql.context_log import append_contexts, context_members
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ClaimRow, HeadRow, SubscriptionRow
from infrastructure.sql.selections import TABLES, within

_CLAIMS = ClaimRow.__table__


class SqlClaims(Claims):
    """Keeps the claims and the cursors of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, subscriptions: Iterable[Subscription]) -> None:
        known = set(self.subscriptions())
        new = [
            {"name": subscription.name, "log": subscription.log, "cursor": subscription.selection.after}
            for subscription in subscriptions
            if subscription.name not in known
        ]
        if new:
            dialect = postgresql if self._database.is_postgres else sqlite
            with self._database.writing() as connection:
                connection.execute(dialect.insert(SubscriptionRow).on_conflict_do_nothing(), new)

    def subscriptions(self) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.scalars(select(SubscriptionRow.name).order_by(SubscriptionRow.name)))

    def take(self, subscription: Subscription, *, owner: str, due_first: bool = True) -> Claim | None:
        if not self._has_work(subscription):
            return None
        ways = (_take_due, _take_next) if due_first else (_take_next, _take_due)
        with self._database.writing() as connection:
            for way in ways:
                claim = way(connection, subscription, owner)
                if claim is not None:
                    return claim
        return None

    def _has_work(self, subscription: Subscription) -> bool:
        """Look without a lock, so that idle workers disturb no writer."""
        due = exists().where(ClaimRow.subscription == subscription.name, ClaimRow.available_at <= DatabaseNow())
        head = select(HeadRow.position).where(HeadRow.log == subscription.log).scalar_subquery()
        looked = select(due, SubscriptionRow.cursor, head).where(SubscriptionRow.name == subscription.name)
        with self._database.reading() as connection:
            row = connection.execute(looked).one_or_none()
        if row is None:
            return False
        is_due, cursor, end = row
        last = subscription.selection.last
        return bool(is_due) or cursor < (end if last is None else min(last, end))

    def heartbeat(self, claim: Claim, *, lease: float, progress: Mapping[str, Any] | None = None) -> bool:
        values: dict[str, Any] = {"available_at": DatabaseNow(lease)}
        if progress is not None:
            values["progress"] = to_json(dict(progress)).decode()
        with self._database.writing() as connection:
            return connection.execute(_held(update(ClaimRow), claim).values(values)).rowcount == 1

    def abandon(self, claim: Claim) -> None:
        with self._database.writing() as connection:
            connection.execute(_held(update(ClaimRow), claim).values(available_at=DatabaseNow()))

    def rewind(self, subscription: Subscription) -> None:
        row = SubscriptionRow.name == subscription.name
        with self._database.writing() as connection:
            connection.execute(update(SubscriptionRow).where(row).values(cursor=subscription.selection.after))
            connection.execute(delete(ClaimRow).where(ClaimRow.subscription == subscription.name))

    def end_leases(self, owner_prefix: str) -> int:
        mine = ClaimRow.owner.startswith(owner_prefix, autoescape=True)
        with self._database.writing() as connection:
            return connection.execute(update(ClaimRow).where(mine).values(available_at=DatabaseNow())).rowcount

    def complete(self, claim: Claim, completion: Completion) -> bool:
        try:
            if self._database.is_postgres:
                with self._database.calling() as connection:
                    return _complete_postgres(connection, claim, completion)
            with self._database.writing() as connection:
                return _complete_sqlite(connection, claim, completion)
        except (IntegrityError, DataError) as error:
            raise CompletionRefused(f"The database refused the contexts: {error.orig}") from error

    def backlog(self, names: Sequence[str]) -> Mapping[str, Backlog]:
        due = func.count().filter(ClaimRow.available_at <= DatabaseNow())
        with self._database.reading() as connection:
            heads = {row.log: row.position for row in connection.execute(select(HeadRow.log, HeadRow.position))}
            cursors = connection.execute(
                select(SubscriptionRow.name, SubscriptionRow.log, SubscriptionRow.cursor).where(
                    SubscriptionRow.name.in_(names)
                )
            ).all()
            counted = {
                row[0]: row
                for row in connection.execute(
                    select(
                        ClaimRow.subscription, func.count(), due, func.max(ClaimRow.id), func.sum(ClaimRow.fence),
                        func.min(ClaimRow.available_at),
                        func.sum(ClaimRow.last_position - ClaimRow.first_position + 1),
                    ).where(ClaimRow.subscription.in_(names)).group_by(ClaimRow.subscription)
                )
            }  # fmt: skip
        result = {}
        for name, log, cursor in cursors:
            _, claims, due_count, newest, fences, oldest, claimed = counted.get(name, (name, 0, 0, 0, 0, None, 0))
            head = heads[log]
            result[name] = Backlog(
                cursor=cursor,
                head=head,
                claims=claims,
                due=due_count or 0,
                claimed=int(claimed),
                has_due=bool(due_count) or head > cursor,
                mark=(newest or 0, cursor + int(fences or 0)),
                oldest_due=oldest if due_count else None,
            )
        return result


def _held(statement: Any, claim: Claim) -> Any:
    return statement.where(ClaimRow.id == claim.id, ClaimRow.fence == claim.fence)


def _take_due(connection: Connection, subscription: Subscription, owner: str) -> Claim | None:
    due = connection.execute(
        select(ClaimRow.id, ClaimRow.first_position, ClaimRow.last_position, ClaimRow.owner, ClaimRow.attempt)
        .where(ClaimRow.subscription == subscription.name, ClaimRow.available_at <= DatabaseNow())
        .order_by(ClaimRow.available_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if due is None:
        return None
    died = due.owner is not None
    if died and due.first_position < due.last_position:
        return _split(connection, subscription, due, owner)
    row = connection.execute(
        update(ClaimRow)
        .where(ClaimRow.id == due.id)
        .values(
            fence=ClaimRow.fence + 1,
            deaths=ClaimRow.deaths + int(died),
            owner=owner,
            available_at=DatabaseNow(subscription.lease),
            progress=null(),
        )
        .returning(_CLAIMS)
    ).one()
    return _claim(row, more=True)


def _split(connection: Connection, subscription: Subscription, due: Any, owner: str) -> Claim | None:
    """A range whose worker died becomes one claim an event, so that the one that kills is found."""
    connection.execute(delete(ClaimRow).where(ClaimRow.id == due.id))
    positions = connection.scalars(_range(subscription, due.first_position - 1, due.last_position)).all()
    if not positions:
        return None
    now, leased = connection.execute(select(DatabaseNow(), DatabaseNow(subscription.lease))).one()
    rows = connection.execute(
        insert(ClaimRow).returning(_CLAIMS, sort_by_parameter_order=True),
        [
            {
                "subscription": subscription.name,
                "first_position": position,
                "last_position": position,
                "attempt": due.attempt,
                "deaths": 0,
                "fence": int(ordinal == 0),
                "owner": None if ordinal else owner,
                "available_at": now if ordinal else leased,
            }
            for ordinal, position in enumerate(positions)
        ],
    ).all()
    return _claim(rows[0], more=len(rows) > 1)


def _take_next(connection: Connection, subscription: Subscription, owner: str) -> Claim | None:
    # The row's lock first: what is read after it sees every commit of the last holder, so the cursor never
    # moves back.
    row = SubscriptionRow.name == subscription.name
    cursor = connection.scalar(select(SubscriptionRow.cursor).where(row).with_for_update())
    if cursor is None:
        return None
    table = TABLES[subscription.log]
    found = _range(subscription, cursor, None).subquery()
    head = select(func.coalesce(func.max(table.c.position), 0)).scalar_subquery()
    count, first, last, end = connection.execute(
        select(func.count(), func.min(found.c.position), func.max(found.c.position), head).select_from(found)
    ).one()
    moved = last if count == subscription.batch else end
    if subscription.selection.last is not None:
        moved = min(moved, subscription.selection.last)
    if moved > cursor:
        connection.execute(update(SubscriptionRow).where(row).values(cursor=moved))
    if not count:
        return None
    taken = connection.execute(
        insert(ClaimRow)
        .values(
            subscription=subscription.name,
            first_position=first,
            last_position=last,
            fence=1,
            owner=owner,
            available_at=DatabaseNow(subscription.lease),
        )
        .returning(_CLAIMS)
    ).one()
    return _claim(taken, more=end > moved)


def _range(subscription: Subscription, after: int, last: int | None) -> Any:
    """The selected positions past one: up to a last one, else as many as a claim covers."""
    table = TABLES[subscription.log]
    limit = None if last is not None else subscription.batch
    return within(select(table.c.position), table, subscription.selection, after=after, last=last, limit=limit)


def _claim(row: Any, *, more: bool) -> Claim:
    return Claim(
        id=row.id,
        subscription=row.subscription,
        first=row.first_position,
        last=row.last_position,
        attempt=row.attempt,
        deaths=row.deaths,
        fence=row.fence,
        more=more,
    )


def _complete_sqlite(connection: Connection, claim: Claim, completion: Completion) -> bool:
    gone = connection.execute(_held(delete(ClaimRow), claim).returning(ClaimRow.deaths)).one_or_none()
    if gone is None:
        return False
    for requeue in completion.requeues:
        connection.execute(
            insert(ClaimRow).values(
                subscription=claim.subscription,
                first_position=requeue.first,
                last_position=requeue.last,
                attempt=requeue.attempt,
                deaths=gone.deaths,
                available_at=DatabaseNow(requeue.delay),
            )
        )
    append_contexts(connection, completion.contexts)
    return True


_COMPLETE = text("SELECT complete_claim(:id, :fence, CAST(:contexts AS json), CAST(:requeues AS json))")


def _complete_postgres(connection: Connection, claim: Claim, completion: Completion) -> bool:
    contexts = [
        {"ordinal": ordinal, **context_members(context)} for ordinal, context in enumerate(completion.contexts, 1)
    ]
    requeues = [
        {"first": requeue.first, "last": requeue.last, "attempt": requeue.attempt, "delay": requeue.delay}
        for requeue in completion.requeues
    ]
    parameters = {
        "id": claim.id,
        "fence": claim.fence,
        "contexts": to_json(contexts).decode(),
        "requeues": to_json(requeues).decode(),
    }
    return bool(connection.scalar(_COMPLETE, parameters))
