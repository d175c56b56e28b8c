"""GET /tasks/{task_id}."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from application.use_cases.tasks import get_task
from application.use_cases.time_travel import task_as_of
from interfaces.http import answers
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import TASK_ROUTE
from interfaces.http.fields import AsOf

router = APIRouter(tags=["tasks"])


@router.get("/tasks/{task_id}", **TASK_ROUTE)
def read_task(task_id: str, api: Annotated[Api, Depends(api)], as_of: AsOf = None) -> Response:
    """The state of an event's task, in Celery's words and ours. An unknown id is 404, never PENDING.

    With `as_of`, as it was by a time, or at a position of the log of contexts; `open` means not ended by then.
    """
    if as_of is None:
        task = get_task(task_id, **api.task_ports())
    else:
        task = task_as_of(task_id, as_of, registry=api.registry, **api.past_ports())
    return answers.json_response(answers.task_json(task))
