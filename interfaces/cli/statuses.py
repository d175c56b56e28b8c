"""Task statuses as options name them."""

from typing import Annotated, Any

import typer

Status = Annotated[
    str | None, typer.Option(help="queued, running, retrying, succeeded, failed, discarded or unrouted, as it is now.")
]


def checked(status: str | None) -> Any:
    """A TaskStatus, or None.

    Raises:
        InvalidRequest: there is no such status.
    """
    from typing import get_args

    from application.ports.task_states import TaskStatus
    from domain.errors import InvalidRequest

    if status is not None and status not in get_args(TaskStatus):
        raise InvalidRequest(f"--status {status}: it is one of {', '.join(get_args(TaskStatus))}.")
    return status
