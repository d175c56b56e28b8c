"""MemoryPipelineCodes: the code of pipelines as a dictionary."""

from collections.abc import Collection, Iterable, Mapping

from application.ports.pipeline_codes import PipelineCodes
from domain.fingerprints import PipelineCode
from infrastructure.memory.tables import MemoryTables


class MemoryPipelineCodes(PipelineCodes):
    """Keeps codes in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def register(self, codes: Iterable[PipelineCode]) -> None:
        with self._tables.lock:
            for code in codes:
                self._tables.codes.setdefault(code.fingerprint, code)

    def find(self, fingerprints: Collection[str]) -> Mapping[str, PipelineCode]:
        with self._tables.lock:
            return {name: code for name, code in self._tables.codes.items() if name in fingerprints}
