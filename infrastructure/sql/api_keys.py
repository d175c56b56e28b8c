"""Keys on SQL. Of a secret only its digest is here."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from application.ports.api_keys import ApiKey, ApiKeys, NewApiKey
from domain.errors import InvalidRequest, NotFound
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import ApiKeyRow

_TABLE = ApiKeyRow.__table__


class SqlApiKeys(ApiKeys):
    """Keeps the keys of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, new: NewApiKey) -> ApiKey:
        values = {
            "id": new.id,
            "name": new.name,
            "digest": new.digest,
            "scopes": " ".join(new.scopes),
            "created_at": DatabaseNow(),
        }
        try:
            with self._database.writing() as connection:
                return _key(connection.execute(insert(ApiKeyRow).values(values).returning(_TABLE)).one())
        except IntegrityError:
            raise InvalidRequest(f"There is or was a key called {new.name!r}, or one with this id.") from None

    def list(self) -> Sequence[ApiKey]:
        with self._database.reading() as connection:
            return [_key(row) for row in connection.execute(select(_TABLE).order_by("created_at", "id"))]

    def revoke(self, key_id: str) -> ApiKey:
        revoked_at = func.coalesce(ApiKeyRow.revoked_at, DatabaseNow())
        statement = update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(revoked_at=revoked_at).returning(_TABLE)
        with self._database.writing() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotFound(f"There is no key {key_id[:80]!r}. `playhead keys list` has them.")
        return _key(row)


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        digest=row.digest,
        scopes=tuple(row.scopes.split()),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
