"""The embedded service on one SQLite file: a successor of a killed one, and a second one beside it."""

import signal
import time
from pathlib import Path

import pytest
from dependency_injector import providers
from sqlalchemy import text

from domain.errors import Misconfigured
from infrastructure import service as service_module
from infrastructure.container import Container
from infrastructure.service import Service
from infrastructure.settings import load
from tests.end_to_end.processes import ROOT, ask, environment, free_port, is_ready, started, wait_until
from tests.stores import opened

SLOW = "tests.end_to_end.slow_pipelines"


def service_of(url: str, home: Path) -> tuple[Container, Service]:
    settings = load(
        database_url=url, playhead_home=home, celery_broker_url="", elasticsearch_url="", pipelines=SLOW, _env_file=None
    )
    container = Container(settings=providers.Object(settings))
    return container, Service(container)


def test_the_successor_of_a_killed_service_ends_its_leases_at_once_and_counts_the_death(
    sqlite_url: str, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "dev.log"
    env = environment(
        tmp_path, database_url=sqlite_url, pipelines=SLOW, pythonpath=str(ROOT), claim_batch="1", lease_seconds="300"
    )
    command = ["playhead", "dev", "--port", str(port)]
    with started(command, env, log) as killed:
        wait_until(lambda: is_ready(port), seconds=20, log=log)
        _, answer = ask(port, "POST", "/events", {"type": "slow.asked", "data": {"n": 1, "seconds": 1.5}})
        wait_until(lambda: ask(port, "GET", f"/tasks/{answer['task_id']}")[1]["state"] == "PROGRESS", log=log)
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)

    with opened(sqlite_url) as store:
        _, successor = service_of(sqlite_url, tmp_path)
        successor.prepare(migrate=False)
        began = time.monotonic()
        successor.start_engine()
        try:

            def deaths() -> int:
                with store.engine.connect() as connection:
                    return connection.scalar(text("SELECT deaths FROM claims WHERE subscription = 'slow'")) or 0

            wait_until(lambda: deaths() == 1, seconds=5)
            wait_until(lambda: store.contexts.head() == 1, seconds=10)
            assert time.monotonic() - began < 10
        finally:
            successor.stop()


def test_a_second_service_on_one_file_is_refused_until_the_first_has_stopped(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "_LOCK_SECONDS", 0.2)
    _, first = service_of(sqlite_url, tmp_path)
    _, second = service_of(sqlite_url, tmp_path)
    first.prepare(migrate=False)
    first.start_engine()
    second.prepare(migrate=False)
    with pytest.raises(Misconfigured, match="Another Playhead service"):
        second.start_engine()
    second.stop()

    first.stop()

    _, third = service_of(sqlite_url, tmp_path)
    third.prepare(migrate=False)
    third.start_engine()
    third.stop()
