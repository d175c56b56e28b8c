"""SqlStore: one database and every port that it keeps."""

from infrastructure.sql import durability, schema
from infrastructure.sql.api_keys import SqlApiKeys
from infrastructure.sql.audit import SqlAudit
from infrastructure.sql.claims import SqlClaims
from infrastructure.sql.context_log import SqlContextLog
from infrastructure.sql.controls import SqlControls
from infrastructure.sql.dead_letters import SqlDeadLetters
from infrastructure.sql.effect_ledger import SqlEffectLedger
from infrastructure.sql.engine import Database
from infrastructure.sql.event_log import SqlEventLog
from infrastructure.sql.log_ids import SqlLogIds
from infrastructure.sql.pipeline_codes import SqlPipelineCodes
from infrastructure.sql.promotions import SqlPromotions
from infrastructure.sql.replays import SqlReplays
from infrastructure.sql.seals import SqlSeals
from infrastructure.sql.task_states import SqlTaskStates


class SqlStore:
    """The keepers of one database, on one pool of connections."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.database = Database(url, pool_size=pool_size)
        self.engine = self.database.engine
        self.events = SqlEventLog(self.database)
        self.contexts = SqlContextLog(self.database)
        self.claims = SqlClaims(self.database)
        self.states = SqlTaskStates(self.database)
        self.replays = SqlReplays(self.database)
        self.promotions = SqlPromotions(self.database)
        self.codes = SqlPipelineCodes(self.database)
        self.dead_letters = SqlDeadLetters(self.database)
        self.controls = SqlControls(self.database)
        self.ledger = SqlEffectLedger(self.database)
        self.seals = SqlSeals(self.database)
        self.log_ids = SqlLogIds(self.database)
        self.api_keys = SqlApiKeys(self.database)
        self.audit = SqlAudit(self.database)

    def upgrade(self) -> tuple[str | None, str | None]:
        """Run the migrations that are missing; the revision before and after."""
        before = schema.current(self.database)
        schema.upgrade(self.database)
        return before, schema.newest()

    def require_newest(self) -> None:
        """Refuse a database whose migrations are missing (`Misconfigured`)."""
        schema.require_newest(self.database)

    def require_durable(self) -> None:
        """Refuse a database that may lose what it acknowledged (`Misconfigured`)."""
        durability.require_durable(self.database)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
