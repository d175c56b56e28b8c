"""The embedded service through its front door: one process, SQLite, threads, FTS5, real flights."""

import gzip
import json
import os
import signal
import statistics
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.processes import BIN, MONTH, ask, environment, free_port, is_ready, run, started, wait_until

EVENTS, FOLLOW_UPS = 27_004, 626


@contextmanager
def dev(home: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A running `playhead dev`: its port and its process."""
    port = free_port()
    log = home.parent / "dev.log"
    with started(["playhead", "dev", "--port", str(port)], environment(home, log_level="error"), log) as process:
        wait_until(lambda: is_ready(port), seconds=20, log=log)
        yield port, process


def flights() -> list[dict[str, Any]]:
    return [json.loads(line)["data"] for line in gzip.decompress(MONTH.read_bytes()).splitlines()]


def lag(port: int) -> int:
    return ask(port, "POST", "/search", {"size": 0})[1]["index_lag"]


def contexts_by_status(home: Path) -> Counter[tuple[str, str]]:
    """How many live contexts there are, read from the database by itself."""
    import sqlite3

    with closing(sqlite3.connect(f"file:{home / 'playhead.db'}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT pipeline, status, count(*), count(DISTINCT event_position) FROM task_contexts "
            "WHERE generation = 0 GROUP BY 1, 2"
        ).fetchall()
    for pipeline, status, contexts, events in rows:
        assert contexts == events, f"{pipeline} {status}: {contexts} contexts of {events} events"
    return Counter({(pipeline, status): contexts for pipeline, status, contexts, _ in rows})


DONE = Counter({("flights", "completed"): EVENTS, ("very_late", "completed"): FOLLOW_UPS})


@pytest.mark.timeout(300)
def test_the_month_runs_once_is_searchable_and_replays_alike(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = environment(home)
    with dev(home) as (port, _):
        service = f"http://127.0.0.1:{port}"
        sent = json.loads(run(env, "send", str(MONTH), "--url", service, "--json", cwd=tmp_path).stdout)
        again = json.loads(run(env, "send", str(MONTH), "--url", service, "--json", cwd=tmp_path).stdout)
        assert (sent["taken"], sent["refused"]) == (EVENTS, 0)
        assert (again["taken"], again["repeated"]) == (0, EVENTS)
        wait_until(lambda: contexts_by_status(home) == DONE and lag(port) == 0, seconds=120)

        statuses = ask(port, "POST", "/search", {
            "q": "type:flight.recorded", "size": 0, "aggs": {"status": {"kind": "terms", "field": "status"}},
        })[1]["aggs"]["status"]["buckets"]  # fmt: skip
        assert {bucket["key"]: bucket["count"] for bucket in statuses} == {
            "on_time": 20_197, "late": 6_201, "cancelled": 521, "diverted": 85,
        }  # fmt: skip
        check_delays_by_carrier(port)
        follow_ups = ask(port, "POST", "/search", {"filters": {"pipeline": "very_late"}, "size": 0})[1]["total"]
        assert follow_ups == FOLLOW_UPS

        plan = json.loads(run(env, "replay", "plan", "--all", "--json", cwd=tmp_path).stdout)
        assert plan["count"] == EVENTS + FOLLOW_UPS
        status = json.loads(run(env, "replay", "run", str(plan["id"]), "--json", cwd=tmp_path).stdout)
        assert status["done"]
        assert (status["identical"], status["different"]) == (EVENTS + FOLLOW_UPS, 0)
        assert contexts_by_status(home) == DONE
        assert len(ask(port, "GET", f"/events?after={EVENTS + FOLLOW_UPS}")[1]["events"]) == 0

        assert run(env, "index", "rebuild", cwd=tmp_path).returncode == 0
        assert ask(port, "POST", "/search", {"size": 0})[1]["total"] == EVENTS + FOLLOW_UPS


def check_delays_by_carrier(port: int) -> None:
    """The mean arrival delay by carrier is that of the raw file."""
    by_carrier: dict[str, list[float]] = defaultdict(list)
    for flight in flights():
        if flight["arr_delay"] is not None:
            by_carrier[flight["carrier"]].append(flight["arr_delay"])
    query = {"kind": "terms", "field": "carrier", "size": 50, "stats": "arr_delay"}
    body = {"q": "type:flight.recorded", "size": 0, "aggs": {"carriers": query}}
    buckets = ask(port, "POST", "/search", body)[1]["aggs"]["carriers"]["buckets"]
    found = {bucket["key"]: bucket["stats"]["avg"] for bucket in buckets}
    assert found == {carrier: pytest.approx(statistics.fmean(delays)) for carrier, delays in by_carrier.items()}


@pytest.mark.timeout(180)
def test_a_service_that_is_killed_in_the_middle_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = environment(home)
    with dev(home) as (port, process):
        sending = subprocess.Popen(
            [str(BIN / "playhead"), "send", str(MONTH), "--url", f"http://127.0.0.1:{port}"],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: contexts_by_status(home)["flights", "completed"] > 2_000)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert sending.wait(timeout=30) == 4

    with dev(home) as (port, _):
        done = run(env, "send", str(MONTH), "--url", f"http://127.0.0.1:{port}", "--json", cwd=tmp_path)
        summary = json.loads(done.stdout)
        assert summary["taken"] + summary["repeated"] == EVENTS
        assert summary["repeated"] > 0
        wait_until(lambda: contexts_by_status(home) == DONE and lag(port) == 0, seconds=120)
        assert ask(port, "POST", "/search", {"size": 0})[1]["total"] == EVENTS + FOLLOW_UPS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_service_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "home"
    with dev(home) as (port, process):
        run(environment(home), "send", str(MONTH), "--url", f"http://127.0.0.1:{port}", cwd=tmp_path)
        began = time.monotonic()
        process.send_signal(number)

        assert process.wait(timeout=30) == 0
        assert time.monotonic() - began < 10
    assert leases(home) == 0


def leases(home: Path) -> int:
    """How many claims somebody holds."""
    import sqlite3

    with closing(sqlite3.connect(home / "playhead.db")) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM claims WHERE owner IS NOT NULL")
    return int(count)


def test_a_second_service_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with dev(tmp_path / "home"):
        second = run(environment(tmp_path / "home"), "dev", "--port", "0", cwd=tmp_path)

    assert second.returncode == 4
    assert "Another Playhead service runs on" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with dev(tmp_path / "home") as (port, _):
        second = run(environment(tmp_path / "other"), "dev", "--port", str(port), cwd=tmp_path)

    assert second.returncode == 4
    assert f"port {port} is taken" in second.stderr


@pytest.mark.timeout(180)
def test_the_demo_runs_again_and_needs_no_client_of_a_server(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    for name in ("celery", "redis", "elasticsearch", "kombu"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text(f"raise ImportError('{name} is blocked')\n")
    env = {**environment(tmp_path), "PYTHONPATH": str(blocked)}
    del env["PLAYHEAD_HOME"]

    for _ in range(2):
        demo = run(env, "demo", cwd=tmp_path)
        assert demo.returncode == 0, demo.stderr
        assert "very_late" in demo.stdout
        assert "5,000" in demo.stdout
        assert demo.stdout.count("PLAYHEAD_HOME=.playhead/demo ./scripts/run ") == 3
    assert (tmp_path / ".playhead/demo/playhead.db").exists()
