"""Claims on SQL: the same statements on PostgreSQL and SQLite, but for the one call that completes a claim."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, and_, delete, exists, func, insert, null, select, update
from sqlalchemy.exc import DataError, IntegrityError

from application.ports.claims import Backlog, Claim, Claims, Completion
from application.subscription import Lane, Subscription, lease_of
from domain.errors import CompletionRefused
from infrastructure.sql.completions import complete_on_postgres, complete_on_sqlite, held
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ClaimRow, HeadRow, SubscriptionRow
from infrastructure.sql.registration import make_rows
from infrastructure.sql.selections import TABLES, within

_CLAIMS = ClaimRow.__table__
_FREE = and_(~SubscriptionRow.paused, SubscriptionRow.held.is_(None))
"""What an operator, or a dead letter that holds its lane, has not stopped."""


class SqlClaims(Claims):
    """Keeps the claims and the cursors of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, subscriptions: Iterable[Subscription]) -> None:
        known = set(self.subscriptions())
        new = [subscription for subscription in subscriptions if subscription.name not in known]
        if new:
            with self._database.writing() as connection:
                make_rows(connection, new)

    def ranges(self, name: str) -> list[tuple[int, int]]:
        query = select(ClaimRow.first_position, ClaimRow.last_position).where(ClaimRow.subscription == name)
        with self._database.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query.order_by(ClaimRow.first_position))]

    def owners(self, name: str) -> list[str]:
        held = (ClaimRow.subscription == name, ClaimRow.owner.is_not(None), ClaimRow.available_at > DatabaseNow())
        with self._database.reading() as connection:
            found = connection.scalars(select(ClaimRow.owner).where(*held).distinct().order_by(ClaimRow.owner))
            return [owner for owner in found if owner is not None]

    def subscriptions(self) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.scalars(select(SubscriptionRow.name).order_by(SubscriptionRow.name)))

    def take(self, subscription: Subscription, *, owner: str, due_first: bool = True) -> Claim | None:
        ways = (_take_due, _take_next) if due_first else (_take_next, _take_due)
        row = and_(SubscriptionRow.name == subscription.name, _FREE)
        with self._database.writing() as connection:
            # The row's lock first: what is read after it sees every commit of the last holder, so the cursor never
            # moves back, and bounds hold.
            cursor = connection.scalar(select(SubscriptionRow.cursor).where(row).with_for_update())
            if cursor is None or (_is_bounded(subscription) and not _is_claimable(connection, subscription)):
                return None
            for way in ways:
                claim = way(connection, subscription, owner, cursor)
                if claim is not None:
                    return claim
        return None

    def claimable(self, subscription: Subscription) -> bool:
        with self._database.reading() as connection:
            return _is_claimable(connection, subscription)

    def heartbeat(self, claim: Claim, *, lease: float, progress: Mapping[str, Any] | None = None) -> bool:
        values: dict[str, Any] = {"available_at": DatabaseNow(lease)}
        if progress is not None:
            values["progress"] = to_json(dict(progress)).decode()
        with self._database.writing() as connection:
            return connection.execute(held(update(ClaimRow), claim).values(values)).rowcount == 1

    def abandon(self, claim: Claim) -> None:
        with self._database.writing() as connection:
            connection.execute(held(update(ClaimRow), claim).values(available_at=DatabaseNow()))

    def rewind(self, subscription: Subscription) -> None:
        row = SubscriptionRow.name == subscription.name
        with self._database.writing() as connection:
            connection.execute(update(SubscriptionRow).where(row).values(cursor=subscription.selection.after))
            connection.execute(delete(ClaimRow).where(ClaimRow.subscription == subscription.name))

    def forget(self, names: Sequence[str]) -> None:
        with self._database.writing() as connection:
            # The subscriptions first: whoever takes a claim holds the lock of its subscription.
            connection.execute(delete(SubscriptionRow).where(SubscriptionRow.name.in_(names)))
            connection.execute(delete(ClaimRow).where(ClaimRow.subscription.in_(names)))

    def end_leases(self, owner_prefix: str) -> int:
        mine = ClaimRow.owner.startswith(owner_prefix, autoescape=True)
        with self._database.writing() as connection:
            return connection.execute(update(ClaimRow).where(mine).values(available_at=DatabaseNow())).rowcount

    def complete(self, claim: Claim, completion: Completion) -> bool:
        try:
            if self._database.is_postgres:
                with self._database.calling() as connection:
                    return complete_on_postgres(connection, claim, completion)
            with self._database.writing() as connection:
                return complete_on_sqlite(connection, claim, completion)
        except (IntegrityError, DataError) as error:
            raise CompletionRefused(f"The database refused the contexts: {error.orig}") from error

    def release(self, owner: str) -> int:
        mine = ClaimRow.owner == owner
        values = {"owner": null(), "available_at": DatabaseNow(), "fence": ClaimRow.fence + 1}
        with self._database.writing() as connection:
            return connection.execute(update(ClaimRow).where(mine).values(values)).rowcount

    def backlog(self, names: Sequence[str]) -> Mapping[str, Backlog]:
        due = func.count().filter(ClaimRow.available_at <= DatabaseNow())
        with self._database.reading() as connection:
            heads = {row.log: row.position for row in connection.execute(select(HeadRow.log, HeadRow.position))}
            known = select(SubscriptionRow.__table__).where(SubscriptionRow.name.in_(names))
            rows = {row.name: row for row in connection.execute(known)}
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
        for name in filter(rows.__contains__, names):
            row = rows[name]
            cursor, head = row.cursor, heads[row.log]
            _, claims, due_count, newest, fences, oldest, claimed = counted.get(name, (name, 0, 0, 0, 0, None, 0))
            result[name] = Backlog(
                route=row.route,
                lane=Lane(row.lane, row.lanes),
                paused=row.paused,
                held=row.held,
                cursor=cursor,
                head=head,
                claims=claims,
                due=due_count or 0,
                claimed=int(claimed),
                has_due=not row.paused and row.held is None and (bool(due_count) or head > cursor),
                mark=(newest or 0, cursor + int(fences or 0)),
                oldest_due=oldest if due_count else None,
            )
        return result


def _is_claimable(connection: Connection, subscription: Subscription) -> bool:
    """Whether there is something to take now, for all that can be seen without a lock."""
    mine = ClaimRow.subscription == subscription.name
    due = ClaimRow.available_at <= DatabaseNow()
    lowest = select(due).where(mine).order_by(ClaimRow.first_position).limit(1).scalar_subquery()
    head = select(HeadRow.position).where(HeadRow.log == subscription.log).scalar_subquery()
    columns = [
        SubscriptionRow.cursor,
        head.label("head"),
        # In order the lowest claim comes before all else, due or not.
        (lowest if subscription.in_order else exists().where(mine, due)).label("due"),
    ]
    if subscription.max_claims is not None:
        leased = select(func.count()).where(mine, ~due, ClaimRow.owner.is_not(None)).scalar_subquery()
        columns.append((leased < subscription.max_claims).label("has_room"))
    row = connection.execute(select(*columns).where(SubscriptionRow.name == subscription.name, _FREE)).one_or_none()
    if row is None or not getattr(row, "has_room", True):
        return False
    if subscription.in_order and row.due is not None:
        return bool(row.due)
    last = subscription.selection.last
    return bool(row.due) or row.cursor < (row.head if last is None else min(last, row.head))


def _is_bounded(subscription: Subscription) -> bool:
    """Whether some of its claims, or the number of them, keep others from being taken."""
    return subscription.in_order or subscription.max_claims is not None


def _take_due(connection: Connection, subscription: Subscription, owner: str, _: int) -> Claim | None:
    mine = ClaimRow.subscription == subscription.name
    looked = select(ClaimRow.id, ClaimRow.first_position, ClaimRow.last_position, ClaimRow.owner, ClaimRow.attempt)
    looked = looked.where(mine, ClaimRow.available_at <= DatabaseNow())
    if subscription.in_order:
        # That one and no other, even where its row is locked and changes meanwhile.
        lowest = select(func.min(ClaimRow.first_position)).where(mine).scalar_subquery()
        looked = looked.where(ClaimRow.first_position == lowest).with_for_update()
    else:
        looked = looked.order_by(ClaimRow.available_at).limit(1).with_for_update(skip_locked=True)
    due = connection.execute(looked).one_or_none()
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
            **_lease(subscription),
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
    now, leased = connection.execute(select(DatabaseNow(), DatabaseNow(lease_of(subscription)))).one()
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


def _lease(subscription: Subscription) -> dict[str, Any]:
    """When a claim that is taken now is lost, and when its run is to be ended."""
    limit = subscription.limit
    lease = {"available_at": DatabaseNow(lease_of(subscription))}
    return lease if limit is None else lease | {"deadline": DatabaseNow(limit)}


def _take_next(connection: Connection, subscription: Subscription, owner: str, cursor: int) -> Claim | None:
    if subscription.in_order and _has_claims(connection, subscription):
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
        row = SubscriptionRow.name == subscription.name
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
            **_lease(subscription),
        )
        .returning(_CLAIMS)
    ).one()
    return _claim(taken, more=end > moved)


def _has_claims(connection: Connection, subscription: Subscription) -> bool:
    return bool(connection.scalar(select(exists().where(ClaimRow.subscription == subscription.name))))


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
