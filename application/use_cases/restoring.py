"""Restoring: what is said once an older state of the database was put back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from application.auditor import Auditor
from application.ports.anchor import Anchor
from application.ports.log_ids import LogIds
from application.ports.seals import Seals
from application.subscription import Log
from application.use_cases.sealing import tip_of
from domain.seals import GENESIS, AnchorLine, Restore


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRestored:
    """The ids that the logs get, and when."""

    ids: Mapping[Log, str]
    at: datetime


def mark_restored(
    command: MarkRestored, *, seals: Seals, log_ids: LogIds, anchor: Anchor | None, auditor: Auditor
) -> list[Restore]:
    """Give the logs of a restored database new ids, so that whatever followed the undone future notices.

    The anchor is told first: a restore that it does not know explains none of its lines.

    Raises:
        Unavailable: the anchor cannot be added to, and nothing happened in the database; or the reverse.
    """
    auditor.record("db.restored", ids=command.ids)
    if anchor is not None:
        lines = []
        for log, log_id in command.ids.items():
            tip = tip_of(log, seals)
            lines.append(
                AnchorLine(
                    log=log,
                    log_id=log_id,
                    last_position=tip.last if tip else 0,
                    chain=tip.chain if tip else GENESIS,
                    recorded_at=command.at,
                    restored_from=log_ids.of(log),
                )
            )
        anchor.append(lines)
    return log_ids.renew(command.ids)
