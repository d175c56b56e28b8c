"""Schedule: an event that a clock sends, once for each of its slots."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from domain.errors import InvalidPipeline
from domain.events import OWN_SOURCE

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When an event of a pipeline's type is sent, and with which data.

    `cron` has five fields, as in crontab(5), in `timezone` (a name of the IANA database). A slot is one time at which
    it is due. `missed` says what becomes of slots that passed while nobody could send: "latest" sends the last of
    them, "all" each of them, "skip" none.

    Raises:
        InvalidPipeline: the name is not usable, or `missed` none of the three.
    """

    name: str
    cron: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    missed: Literal["skip", "latest", "all"] = "latest"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidPipeline(f"{self.name!r} cannot name a schedule: use lower-case letters, digits, - and _.")
        if self.missed not in {"skip", "latest", "all"}:
            raise InvalidPipeline(f"Schedule {self.name!r}: missed is {self.missed!r}, not skip, latest or all.")

    @property
    def source(self) -> str:
        """The source of its events, in whose name no one else may send."""
        return f"{OWN_SOURCE}schedule:{self.name}"
