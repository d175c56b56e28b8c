"""The embedded service through its front door: one process, SQLite, threads, FTS5, real flights."""

import gzip
import json
import signal
import statistics
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.end_to_end.embedded import (
    DONE,
    EVENTS,
    FOLLOW_UPS,
    Dev,
    dev,
    leases,
    live_contexts,
)
from tests.end_to_end.processes import BIN, MONTH, environment, run, wait_until

STATUSES = {"on_time": 20_197, "late": 6_201, "cancelled": 521, "diverted": 85}


@pytest.mark.timeout(300)
def test_the_month_runs_once_is_searchable_and_replays_alike(tmp_path: Path):
    with dev(tmp_path / "home") as service:
        sent = json.loads(service.run("send", str(MONTH), "--json").stdout)
        again = json.loads(service.run("send", str(MONTH), "--json").stdout)
        assert (sent["taken"], sent["repeated"], sent["refused"]) == (EVENTS, 0, 0)
        assert (again["taken"], again["repeated"], again["refused"]) == (0, EVENTS, 0)
        service.wait_for(DONE)

        assert_the_results_are_those_of_the_raw_file(service)
        assert service.search(filters={"pipeline": "very_late"}, size=0)["total"] == FOLLOW_UPS
        assert_a_replay_gives_the_same_and_no_second_follow_up(service)

        assert service.run("index", "rebuild").returncode == 0
        assert service.search(size=0)["total"] == EVENTS + FOLLOW_UPS
        assert_the_results_are_those_of_the_raw_file(service)


def assert_the_results_are_those_of_the_raw_file(service: Dev) -> None:
    by_carrier: dict[str, list[float]] = defaultdict(list)
    for line in gzip.decompress(MONTH.read_bytes()).splitlines():
        flight = json.loads(line)["data"]
        if flight["arr_delay"] is not None:
            by_carrier[flight["carrier"]].append(flight["arr_delay"])
    aggs = {
        "status": {"kind": "terms", "field": "status"},
        "carriers": {"kind": "terms", "field": "carrier", "size": 50, "stats": "arr_delay"},
    }
    found = service.search(q="type:flight.recorded", size=0, aggs=aggs)["aggs"]

    assert {bucket["key"]: bucket["count"] for bucket in found["status"]["buckets"]} == STATUSES
    assert {bucket["key"]: bucket["stats"]["avg"] for bucket in found["carriers"]["buckets"]} == {
        carrier: pytest.approx(statistics.fmean(delays)) for carrier, delays in by_carrier.items()
    }


def assert_a_replay_gives_the_same_and_no_second_follow_up(service: Dev) -> None:
    plan = json.loads(service.run("replay", "plan", "--all", "--json").stdout)
    assert plan["count"] == EVENTS + FOLLOW_UPS
    ran = json.loads(service.run("replay", "run", str(plan["id"]), "--json").stdout)
    status = json.loads(service.run("replay", "status", str(plan["id"]), "--json").stdout)

    assert ran == status
    assert status["done"]
    assert (status["identical"], status["different"], status["without_live"]) == (EVENTS + FOLLOW_UPS, 0, 0)
    service.wait_for(DONE)
    assert service.client.get(f"/events?after={EVENTS + FOLLOW_UPS}").json()["events"] == []


@pytest.mark.timeout(240)
def test_a_service_that_is_killed_in_the_middle_loses_nothing_and_does_nothing_twice(tmp_path: Path):
    home = tmp_path / "home"
    with dev(home) as service:
        sending = subprocess.Popen(
            [str(BIN / "playhead"), "send", str(MONTH), "--url", service.url],
            env=dict(service.env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: live_contexts(home)["flights", "completed"] > 2_000)
        service.process.kill()
        assert sending.wait(timeout=30) == 4
        assert live_contexts(home)["flights", "completed"] < EVENTS

    with dev(home) as service:
        summary = json.loads(service.run("send", str(MONTH), "--json").stdout)
        assert summary["taken"] + summary["repeated"] == EVENTS
        assert summary["taken"] > 0
        assert summary["repeated"] > 0
        service.wait_for(DONE)
        assert service.search(size=0)["total"] == EVENTS + FOLLOW_UPS


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_service_at_once_and_cleanly(tmp_path: Path, number: signal.Signals):
    home = tmp_path / "home"
    with dev(home) as service:
        service.run("send", str(MONTH))
        began = time.monotonic()
        service.process.send_signal(number)

        assert service.process.wait(timeout=30) == 0
        assert time.monotonic() - began < 2
        assert "Traceback" not in service.log.read_text()
    assert leases(home) == 0


def test_a_second_service_on_the_same_state_is_refused(tmp_path: Path):
    with dev(tmp_path / "home") as service:
        second = service.run("dev", "--port", "0")
        assert service.client.get("/readyz").status_code == 200

    assert second.returncode == 4
    assert "Another Playhead service runs on" in second.stderr
    assert "PLAYHEAD_HOME" in second.stderr


def test_a_taken_port_is_refused(tmp_path: Path):
    with dev(tmp_path / "home") as service:
        port = service.url.rsplit(":", 1)[1]
        second = run(environment(tmp_path / "other"), "dev", "--port", port, cwd=tmp_path)

    assert second.returncode == 4
    assert f"port {port} is taken" in second.stderr
    assert "--port" in second.stderr


@pytest.fixture
def without_clients(tmp_path: Path) -> Path:
    """Modules that stand before the clients of servers and refuse to be imported."""
    for name in ("celery", "kombu", "redis", "elasticsearch"):
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text(f"raise ImportError('{name} is blocked')\n")
    return tmp_path / "blocked"


@pytest.mark.timeout(180)
def test_the_demo_runs_again_and_beside_a_service_and_needs_no_client_of_a_server(
    tmp_path: Path, without_clients: Path
):
    env = environment(tmp_path / ".playhead", PYTHONPATH=str(without_clients))
    with dev(tmp_path / ".playhead") as service:
        for _ in range(2):
            demo = run(env, "demo", cwd=tmp_path)
            assert demo.returncode == 0, demo.stderr
            rows = {line.split()[0]: line.split()[1:5] for line in demo.stdout.splitlines() if line[:1].isalpha()}
            assert rows["flights"] == ["5,000", "5,000", "0", "0"]
            assert rows["very_late"] == ["81", "81", "0", "0"]
        assert service.client.get("/readyz").status_code == 200
        assert live_contexts(service.home) == Counter()


@pytest.mark.timeout(180)
def test_the_commands_that_the_demo_ends_with_work_as_pasted(tmp_path: Path):
    demo = run(environment(tmp_path), "demo", "--count", "3000", cwd=tmp_path)
    commands = [line.strip() for line in demo.stdout.split("next:")[1].splitlines() if line.strip()]
    assert len(commands) == 3

    for command in commands:
        env = {name: value for name, value in environment(tmp_path).items() if name != "PLAYHEAD_HOME"}
        program = command.replace("./scripts/run", str(BIN / "playhead"))
        done = subprocess.run(["bash", "-c", program], env=env, cwd=tmp_path, capture_output=True, check=False)
        assert command.startswith("PLAYHEAD_HOME=.playhead/demo ./scripts/run ")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
