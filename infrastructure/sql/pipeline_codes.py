"""The code of pipelines on SQL: a row a fingerprint."""

from collections.abc import Collection, Iterable, Mapping

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from application.ports.pipeline_codes import PipelineCodes
from domain.fingerprints import PipelineCode
from infrastructure.sql.engine import Database, DatabaseNow
from infrastructure.sql.models import PipelineCodeRow

_CODE = TypeAdapter(PipelineCode)


class SqlPipelineCodes(PipelineCodes):
    """Keeps the codes of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, codes: Iterable[PipelineCode]) -> None:
        by_fingerprint = {code.fingerprint: code for code in codes}
        known = self.find(by_fingerprint)
        rows = [
            {
                "fingerprint": fingerprint,
                "pipeline": code.pipeline,
                "code": _CODE.dump_json(code).decode(),
                "recorded_at": DatabaseNow(),
            }
            for fingerprint, code in by_fingerprint.items()
            if fingerprint not in known
        ]
        if not rows:
            return
        insert = postgresql.insert if self._database.is_postgres else sqlite.insert
        with self._database.writing() as connection:
            # Processes that start at once register the same.
            connection.execute(insert(PipelineCodeRow).values(rows).on_conflict_do_nothing())

    def find(self, fingerprints: Collection[str]) -> Mapping[str, PipelineCode]:
        columns = (PipelineCodeRow.fingerprint, PipelineCodeRow.code)
        statement = select(*columns).where(PipelineCodeRow.fingerprint.in_(fingerprints))
        with self._database.reading() as connection:
            return {row.fingerprint: _CODE.validate_json(row.code) for row in connection.execute(statement)}
