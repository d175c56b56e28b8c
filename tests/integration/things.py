"""A pipeline of the command line's tests, which an event can make fail."""

from tests.cli import Cli
from tests.end_to_end.processes import wait_until
from tests.integration.http import served

THINGS = """
from pydantic import BaseModel
from playhead import Pipeline, node

class Thing(BaseModel):
    n: int

@node
def double(context):
    return 2 * context.data.n

@node
def invert(context):
    return 1 / context.data.n

PIPELINES = (Pipeline("things", {"thing.seen": Thing}, (double, invert)),)
"""


def fail_one(cli: Cli, sqlite_url: str) -> str:
    """The id of an event whose pipeline raised."""
    cli.module("things_pipelines", THINGS)
    with served(sqlite_url, cli.home, engine=True, pipelines="things_pipelines") as http:
        event_id: str = http.post({"type": "thing.seen", "data": {"n": 0}}).json()["event_id"]
        wait_until(lambda: http.get(f"/tasks/{event_id}").json()["state"] == "FAILURE")
    return event_id
