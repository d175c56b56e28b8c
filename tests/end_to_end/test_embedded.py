"""The embedded service through its front door: one process, SQLite, threads, FTS5, real flights."""

import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.embedded import dev, leases, live_contexts, replayed
from tests.end_to_end.month import DONE, EVENTS, the_month_runs_once_is_searchable_and_replays_alike
from tests.end_to_end.processes import BIN, MONTH, environment, run, wait_until


@pytest.mark.timeout(300)
def test_the_month_runs_once_is_searchable_and_replays_alike(tmp_path: Path):
    with dev(tmp_path / "home") as service:
        the_month_runs_once_is_searchable_and_replays_alike(service)


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


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_was_stopped_goes_on_at_once(tmp_path: Path, number: signal.Signals):
    with dev(tmp_path / "home") as service:
        service.run("send", str(MONTH))
        service.run("replay", "plan", "--type", "flight.recorded")
        running = subprocess.Popen(
            [str(BIN / "playhead"), "replay", "run", "1"],
            env=dict(service.env), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: replayed(service.home) > 1_000)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
        assert (running.returncode, replayed(service.home) < EVENTS) == (130, True)
        assert "replay run 1" in said

        began = time.monotonic()
        status = json.loads(service.run("replay", "run", "1", "--json").stdout)

        assert time.monotonic() - began < 25, "no lease was waited for"
        assert (status["done"], status["identical"]) == (True, EVENTS)


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
