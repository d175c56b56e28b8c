"""Operations: what is done to an installation as a whole."""

from collections.abc import Callable

from application.auditor import Auditor


def upgrade_database(
    *, upgrade: Callable[[], tuple[str | None, str | None]], auditor: Auditor
) -> tuple[str | None, str | None]:
    """Run the migrations that are missing; the revision before and after.

    Recorded afterwards, for a new database has no audit before; and only where something was missing.
    """
    before, after = upgrade()
    if before != after:
        auditor.record("db.upgrade", after or "", before=before)
    return before, after
