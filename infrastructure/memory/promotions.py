"""MemoryPromotions: the views as a list."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.promotions import Promotions, View
from infrastructure.memory.tables import MemoryTables


class MemoryPromotions(Promotions):
    """Keeps views in memory."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def current(self) -> View:
        with self._tables.lock:
            return self._tables.view

    def append(self, view: View) -> View | None:
        with self._tables.lock:
            if view.id != self._tables.view.id + 1:
                return None
            self._tables.views.append(replace(view, at=self._tables.clock()))
            return self._tables.view

    def list(self) -> Sequence[View]:
        with self._tables.lock:
            return self._tables.views[::-1]
