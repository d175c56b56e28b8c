"""MemoryStore: every port of a database, in the memory of one process; the executable specification."""

from collections.abc import Callable
from datetime import datetime

from infrastructure.memory.api_keys import MemoryApiKeys
from infrastructure.memory.audit import MemoryAudit
from infrastructure.memory.claims import MemoryClaims
from infrastructure.memory.context_log import MemoryContextLog
from infrastructure.memory.controls import MemoryControls
from infrastructure.memory.dead_letters import MemoryDeadLetters
from infrastructure.memory.effect_ledger import MemoryEffectLedger
from infrastructure.memory.event_log import MemoryEventLog
from infrastructure.memory.log_ids import MemoryLogIds
from infrastructure.memory.pipeline_codes import MemoryPipelineCodes
from infrastructure.memory.promotions import MemoryPromotions
from infrastructure.memory.replays import MemoryReplays
from infrastructure.memory.seals import MemorySeals
from infrastructure.memory.tables import MemoryTables, system_clock
from infrastructure.memory.task_states import MemoryTaskStates


class MemoryStore:
    """The keepers of one set of tables. Threads may share it; `clock` gives the only time that counts."""

    def __init__(self, clock: Callable[[], datetime] = system_clock) -> None:
        tables = MemoryTables(clock=clock)
        self.events = MemoryEventLog(tables)
        self.contexts = MemoryContextLog(tables)
        self.claims = MemoryClaims(tables)
        self.states = MemoryTaskStates(tables)
        self.replays = MemoryReplays(tables)
        self.promotions = MemoryPromotions(tables)
        self.codes = MemoryPipelineCodes(tables)
        self.dead_letters = MemoryDeadLetters(tables)
        self.controls = MemoryControls(tables)
        self.ledger = MemoryEffectLedger(tables)
        self.seals = MemorySeals(tables)
        self.log_ids = MemoryLogIds(tables)
        self.api_keys = MemoryApiKeys(tables)
        self.audit = MemoryAudit(tables)
