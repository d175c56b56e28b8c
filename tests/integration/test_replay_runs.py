"""Running a replay with real processes: killed, paced, stepped, paused, aborted; on both databases."""

import fcntl
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from application.subscription import Selection
from infrastructure.sql.engine import open_lock
from infrastructure.sql.store import SqlStore
from tests.cli import command_line
from tests.concurrency import transaction
from tests.end_to_end.processes import wait_until
from tests.integration.replay_ground import Ground, children_of, ground_at, is_alive, kill

Make = Callable[..., Ground]


@pytest.fixture
def make(
    sql_store: SqlStore,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Make]:
    """Makes the ground of a test; each has a module of its own name."""
    name = f"ground_{time.monotonic_ns()}"
    with command_line(capsys, monkeypatch, tmp_path) as cli:
        yield lambda **settings: ground_at(cli, sql_store, database_url, name=name, **settings)


@contextmanager
def receiver() -> Iterator[tuple[str, list[str]]]:
    """A server that takes every call; its URL, and the ids of the calls that came."""
    ids: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            ids.append(self.headers["webhook-id"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", ids
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def allowed(url: str) -> str:
    return url.removeprefix("http://").removesuffix("/hook")


@pytest.mark.timeout(300)
def test_killed_ten_times_anywhere_each_selected_event_ends_once_and_what_came_later_is_untouched(make: Make):
    ground = make(seconds=0.002, CLAIM_BATCH=40)
    ground.append(1_500)
    ground.work_live()
    replay = ground.planned()
    ground.append(50, first=5_000)
    draw, kills, began = random.Random(7), Counter[str](), time.monotonic()

    while sum(kills.values()) < 10:
        with ground.started("run", replay, "--workers", "2") as command:
            workers = wait_until(lambda: children_of(command.pid), seconds=20)
            while sum(kills.values()) < 10 and command.poll() is None:
                time.sleep(draw.uniform(0.2, 1.2))
                if draw.random() < 0.6 and (workers := children_of(command.pid)):
                    kill(draw.choice(workers))
                    kills["worker"] += 1
                elif command.poll() is None:
                    left = children_of(command.pid)
                    kill(command.pid)
                    kills["command"] += 1
                    command.wait()
                    wait_until(lambda: not any(map(is_alive, left)), seconds=20)  # noqa: B023  # at once
        if kills["worker"] + kills["command"] < 10:
            assert ground.ended(int(replay)) < 1_500, "it was done before it was killed ten times"
    last = ground.json("run", replay, "--workers", "2")

    contexts = ground.contexts(int(replay))
    assert (last["state"], last["ended"], last["end"]) == ("done", 1_500, "done")
    assert contexts == {position: ["completed"] for position in range(1, 1_501)}
    assert ground.store.contexts.summary(0) == [("things", "completed", 1_500)]
    assert kills["worker"] >= 2
    assert kills["command"] >= 2
    # No lease of a dead process was waited for: each is 30 s.
    assert time.monotonic() - began < 120


def test_an_event_that_kills_its_worker_is_dead_and_its_neighbours_end_well(make: Make):
    ground = make(deadly=(17,), CLAIM_BATCH=20)
    ground.append(60)
    began = time.monotonic()
    done = ground.command("run", ground.planned(), "--workers", "2")

    found = ground.contexts(1)
    assert done.code == 0, done.err
    assert done.err.count("was ended by signal 9; another takes its place") == 4
    assert {position: statuses for position, statuses in found.items() if statuses != ["completed"]} == {18: ["dead"]}
    assert len(found) == 60
    assert time.monotonic() - began < 30


def test_the_workers_end_with_a_command_that_is_killed(make: Make):
    ground = make(seconds=0.01)
    ground.append(3_000)
    with ground.started("run", ground.planned(), "--workers", "3") as command:
        workers = wait_until(lambda: (found := children_of(command.pid)) and len(found) == 3 and found)
        wait_until(lambda: ground.store.claims.owners("replay-1"))
        kill(command.pid)
        command.wait()
        wait_until(lambda: not any(map(is_alive, workers)), seconds=10)
    # They have handed back what they had not begun: nothing is leased, and nobody is counted as dead.
    assert ground.store.claims.owners("replay-1") == []
    assert ground.store.claims.backlog(["replay-1"])["replay-1"].claims > 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_that_is_told_to_stop_hands_back_and_ends_with_130(make: Make, workers: str):
    ground = make(seconds=0.01)
    ground.append(1_000)
    replay = ground.planned()
    with ground.started("run", replay, "--workers", workers) as command:
        wait_until(lambda: ground.store.claims.owners("replay-1"))
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 130
    assert ground.store.claims.owners("replay-1") == []
    assert f"go on with: playhead replay run 1 --workers {workers}" in ground.said.replace(
        f"PLAYHEAD_HOME={ground.home} ", ""
    )


def test_a_ramp_stops_at_each_of_its_steps_exactly_and_then_goes_on_to_the_end(make: Make):
    ground = make()
    ground.append(700)
    replay = ground.planned()
    seen = []
    for workers in ("1", "2", "1", "2"):
        done = ground.command("run", replay, "--ramp", "7,600,5000", "--workers", workers, "--json")
        found = json.loads(done.out)
        seen.append((done.code, found["end"], found["step"], found["ended"], ground.ended(1)))
        assert ("replay diff 1" in done.err) == (found["end"] == "step")

    assert seen == [
        (0, "step", 7, 7, 7), (0, "step", 600, 600, 600), (0, "done", None, 700, 700), (0, "done", None, 700, 700),
    ]  # fmt: skip


@pytest.mark.parametrize(("rate", "workers", "events"), [("100/s", "2", 500), ("3000/min", "1", 250)])
def test_a_rate_is_kept_over_all_workers(make: Make, rate: str, workers: str, events: int):
    ground = make()
    ground.append(events)
    replay = ground.planned()
    with ground.started("run", replay, "--rate", rate, "--workers", workers) as command:
        wait_until(lambda: ground.ended(1) > 0)
        began, first = time.monotonic(), ground.ended(1)
        seen = []
        while time.monotonic() - began < 4.0:
            time.sleep(0.5)
            seen.append((ground.ended(1) - first) / (time.monotonic() - began))
        wanted = 100 if rate == "100/s" else 50
        assert seen[-1] == pytest.approx(wanted, rel=0.2), seen
        assert command.wait(timeout=60) == 0
    assert ground.ended(1) == events


def test_failures_end_a_run_and_the_most_frequent_is_named(make: Make):
    ground = make(failing=tuple(range(100, 400)), CLAIM_BATCH=50)
    ground.append(1_000)
    replay = ground.planned()
    done = ground.command("run", replay, "--max-failures", "20", "--workers", "2")

    dead = sum(statuses == ["dead"] for statuses in ground.contexts(1).values())
    assert done.code == 1
    assert f"{dead} events ended dead, and --max-failures is 20" in done.err
    assert "ValueError in look" in done.err
    assert 20 < dead <= 20 + 2 * 50
    assert ground.json("status", replay)["state"] == "running"
    # It is the operator's to go on.
    assert ground.json("run", replay, "--max-failures", "80%")["end"] == "done"
    assert ground.command("run", replay, "--max-failures", "10%").code == 1


def test_a_replay_is_paused_for_all_its_processes_and_resumed(make: Make):
    ground = make(seconds=0.005, CLAIM_BATCH=20)
    ground.append(2_000)
    replay = ground.planned()
    with ground.started("run", replay, "--workers", "2") as command:
        wait_until(lambda: ground.ended(1) > 0)
        assert ground.command("pause", replay).code == 0
        wait_until(lambda: not ground.store.claims.owners("replay-1"))
        before = ground.ended(1)
        time.sleep(1.5)
        assert ground.ended(1) == before < 2_000
        assert ground.json("status", replay)["state"] == "paused"
        wait_until(lambda: "paused: waits; go on with" in ground.said)
        kill(command.pid)
        command.wait()
    with ground.started("run", replay) as command:
        time.sleep(2.5)
        assert ground.ended(1) == before
        assert command.poll() is None
        assert ground.command("resume", replay).code == 0
        assert command.wait(timeout=60) == 0
    assert ground.contexts(1) == {position: ["completed"] for position in range(1, 2_001)}
    refused = ground.command("pause", replay)
    assert (refused.code, "is done" in refused.err) == (2, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_aborted_replay_ends_keeps_what_it_made_and_is_not_run_again(make: Make, workers: str):
    ground = make(seconds=0.005, CLAIM_BATCH=20)
    ground.append(2_000)
    replay = ground.planned()
    with ground.started("run", replay, "--workers", workers) as command:
        wait_until(lambda: ground.ended(1) > 0)
        assert ground.command("abort", replay).code == 0
        assert command.wait(timeout=20) == 1
    made = ground.ended(1)
    assert 0 < made < 2_000
    found = ground.json("status", replay)
    assert (found["state"], found["done"], found["ended"]) == ("aborted", False, made)
    for verb in ("run", "resume", "pause"):
        refused = ground.command(verb, replay)
        assert (refused.code, "was aborted" in refused.err) == (2, True), verb
    assert ground.command("abort", replay).code == 0
    assert ground.ended(1) == made


def test_replaying_a_thousand_events_with_webhooks_calls_nobody_and_gives_equal_digests(make: Make):
    with receiver() as (url, ids):
        ground = make(url=url, emits=True, OUTGOING_ALLOW=allowed(url))
        ground.append(1_000)
        ground.work_live()
        head = ground.store.events.head()
        for effects in ((), ("--effects", "recorded")):
            found = ground.json("run", ground.planned(), "--workers", "2", *effects)
            assert (found["ended"], found["identical"], found["different"], found["waiting"]) == (1_000, 1_000, 0, 0)
            assert found["effects"] == (effects[1] if effects else "skip")
        assert ids == []
        assert ground.store.events.head() == head
        assert ground.store.ledger.last(("intent", "done"), limit=9) == []


@pytest.mark.timeout(200)
def test_live_effects_are_carried_out_each_under_one_id_of_its_own_though_workers_are_killed(make: Make):
    with receiver() as (url, ids):
        ground = make(url=url, emits=True, OUTGOING_ALLOW=allowed(url))
        ground.append(150)
        ground.work_live()
        replay = ground.planned()
        unsure = ground.command("run", replay, "--effects", "live")
        assert (unsure.code, "about 150 http_call, about 150 emit_event" in unsure.err) == (2, True)
        assert "Say --yes" in unsure.err
        with ground.started("run", replay, "--effects", "live", "--yes", "--workers", "2") as command:
            for goal in (20, 60, 100):
                wait_until(lambda: len(ids) > goal or command.poll() is not None, seconds=40)  # noqa: B023  # at once
                kill(children_of(command.pid)[0])
            assert command.wait(timeout=90) == 0, ground.said
        told = [event for event in ground.store.events.stream(Selection()) if event.type == "thing.told"]

        assert len(set(ids)) == 150
        assert len(ids) <= 150 + 3
        assert len(told) == 150
        states = Counter(entry.phase for entry in ground.store.ledger.last(("done",), limit=1_000))
        assert states == {"done": 150}
        assert ground.json("run", replay)["effects"] == "live"
        assert len(set(ids)) == 150
        assert ground.store.events.head() == 300
        refused = ground.command("run", replay, "--effects", "skip")
        assert (refused.code, "goes on with that" in refused.err) == (2, True)


@pytest.mark.parametrize(
    "options",
    [
        ("--rate", "0"), ("--rate", "5/h"), ("--ramp", "10,5"), ("--ramp", "a"), ("--ramp", "0"), ("--workers", "0"),
        ("--max-failures", "-1"), ("--max-failures", "101%"), ("--max-failures", "x"), ("--effects", "some"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(make: Make, options: tuple[str, ...]):
    ground = make()
    ground.append(1)
    done = ground.command("run", ground.planned(), *options)
    assert (done.code, done.out) == (2, "")
    assert ground.ended(1) == 0


def test_the_status_is_followed_until_the_end(make: Make):
    ground = make(seconds=0.004)
    ground.append(500)
    replay = ground.planned()
    assert ground.json("status", replay)["state"] == "planned"
    with ground.started("run", replay) as command:
        done = ground.command("status", replay, "--watch")
        assert command.wait(timeout=30) == 0
    assert "replay 1: done, 500 of 500" in done.err
    assert "live lag" in done.err


def test_a_replay_claims_nothing_while_live_events_wait_and_are_worked(make: Make):
    ground = make(seconds=0.01, CLAIM_BATCH=20)
    ground.append(100)
    ground.work_live()
    replay = ground.planned()
    ground.append(800, first=100)
    with ground.started("run", replay, "--yield-above", "50") as command:
        worker = threading.Thread(target=ground.work_live)
        worker.start()
        seen = []
        while worker.is_alive():
            backlog = ground.store.claims.backlog(["things"])["things"]
            seen.append((ground.ended(1), backlog.head - backlog.cursor))
            time.sleep(0.1)
        worker.join()
        assert command.wait(timeout=60) == 0
    # Where only a few wait, both work.
    assert all(replayed == 0 for replayed, waiting in seen if waiting > 100)
    assert "live traffic goes first: waits;" in ground.said
    assert "goes on" in ground.said
    assert ground.ended(1) == 100


@contextmanager
def unusable(store: SqlStore) -> Iterator[None]:
    """Nobody can take a claim."""
    if store.database.is_postgres:
        with transaction(store) as connection:
            # One table, for who holds another of them would wait for this one, and this transaction for them.
            connection.execute(text("LOCK TABLE subscriptions IN ACCESS EXCLUSIVE MODE"))
            yield
        return
    with open_lock(store.database.url.database, "writer") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_database_that_is_away_is_waited_for(make: Make):
    ground = make(seconds=0.01, CLAIM_BATCH=20)
    ground.append(300)
    with ground.started("run", ground.planned(), "--workers", "2") as command:
        wait_until(lambda: ground.ended(1) > 0)
        with unusable(ground.store):
            wait_until(lambda: "waits up to five minutes for the database" in ground.said, seconds=30)
        assert command.wait(timeout=60) == 0
    assert ground.contexts(1) == {position: ["completed"] for position in range(1, 301)}
    assert "goes on" in ground.said


def test_a_worker_that_is_stopped_alone_is_replaced(make: Make):
    ground = make(seconds=0.01, CLAIM_BATCH=20)
    ground.append(400)
    with ground.started("run", ground.planned(), "--workers", "2") as command:
        wait_until(lambda: ground.ended(1) > 0)
        stopped = children_of(command.pid)[0]
        os.kill(stopped, signal.SIGTERM)
        wait_until(lambda: not is_alive(stopped))
        assert command.wait(timeout=60) == 0
    assert f"process {stopped} ended with 0; another takes its place" in ground.said
    assert ground.contexts(1) == {position: ["completed"] for position in range(1, 401)}
