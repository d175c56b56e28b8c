"""Crash points: whatever call through a port is broken, before or after it, every guarantee holds at the end."""

import pytest

from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.dispatcher import Dispatcher
from application.ports.event_log import EventLog
from application.ports.pipeline_codes import PipelineCodes
from application.ports.replays import Replays
from application.ports.search_index import SearchIndex
from application.ports.task_states import TaskStates
from tests.reliability import figures
from tests.reliability.crash_points import Report, run_all

PORTS = {
    "events": EventLog,
    "contexts": ContextLog,
    "claims": Claims,
    "states": TaskStates,
    "replays": Replays,
    "codes": PipelineCodes,
    "dispatcher": Dispatcher,
    "search": SearchIndex,
}
NOT_REACHED = {("events", "stream")}
"""It pages by `read`, and only exports use it."""


@pytest.fixture(scope="module", params=("sqlite", pytest.param("postgres", marks=pytest.mark.postgres)))
def report(request: pytest.FixtureRequest) -> Report:
    url = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    report = run_all(url)
    figures.say(f"crash points, {request.param}", str(report))
    return report


@pytest.mark.timeout(1800)
def test_whatever_point_is_broken_every_guarantee_holds(report: Report) -> None:
    assert report.wrong == []


@pytest.mark.timeout(1800)
def test_every_method_of_every_port_is_broken_before_and_after(report: Report) -> None:
    methods = {
        (name, method)
        for name, port in PORTS.items()
        for method in vars(port)
        if not method.startswith("_") and callable(getattr(port, method))
    }
    expected = {(*method, side) for method in methods - NOT_REACHED for side in ("before", "after")}

    assert expected <= report.points
    assert len(report.points) >= 40
