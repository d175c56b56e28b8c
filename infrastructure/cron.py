"""Cron: the slots of a schedule, daylight saving time and all, as Debian's cron has them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from domain.errors import Misconfigured
from domain.registry import PipelineRegistry
from domain.schedule import Schedule


def slots(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The slots after a time, in UTC, in ascending order, without end.

    Raises:
        Misconfigured: the expression or the time zone cannot be read.
    """
    try:
        zone = ZoneInfo(schedule.timezone)
        found = CronSim(schedule.cron, after.astimezone(zone))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise Misconfigured(
            f"Schedule {schedule.name!r}: {schedule.cron!r} in {schedule.timezone!r} cannot be read: {error}. "
            "Write five fields as in crontab(5), and an IANA time zone."
        ) from error
    return (slot.astimezone(UTC) for slot in found)


def require_readable(registry: PipelineRegistry) -> None:
    """Refuse schedules that cannot be read.

    Raises:
        Misconfigured: names the first of them.
    """
    for pipeline in registry:
        for schedule in pipeline.schedules:
            if next(slots(schedule, datetime.now(UTC)), None) is None:
                raise Misconfigured(f"Schedule {schedule.name!r}: {schedule.cron!r} is never due.")
