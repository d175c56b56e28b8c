"""GET /tasks/{task_id}."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from application.use_cases.tasks import get_task
from interfaces.http import answers
from interfaces.http.dependencies import Api, api
from interfaces.http.documented import TASK_ROUTE

router = APIRouter(tags=["tasks"])


@router.get("/tasks/{task_id}", **TASK_ROUTE)
def read_task(task_id: str, api: Annotated[Api, Depends(api)]) -> Response:
    """The state of an event's task, in Celery's words and ours. An unknown id is 404, never PENDING."""
    return answers.json_response(answers.task_json(get_task(task_id, **api.task_ports())))
