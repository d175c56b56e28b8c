"""Canaries: secrets in every setting, errors that would print them, and no trace of one in anything that is written."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.end_to_end.processes import BIN, ROOT, environment, free_port, run, wait_until
from tests.end_to_end.scale import Process, processes
from tests.stores import opened

pytestmark = pytest.mark.postgres
WORD = "kanarienvogel"
CANARIES = {name: f"{WORD}-{name}/%&\"'é" for name in ("db", "broker", "backend", "search")}
KEY = "ph_0123456789_" + (WORD * 4)[:43]

TELLTALE = """
import os, sys
import structlog, logging
from pydantic import BaseModel
from playhead import Pipeline, TransientError, node

class Thing(BaseModel):
    how: str

@node
def tell(context):
    names = ("DATABASE_URL", "CELERY_BROKER_URL", "ELASTICSEARCH_URL", "CELERY_RESULT_BACKEND", "PLAYHEAD_API_KEY")
    secret = " ".join(os.environ[name] for name in names)
    logging.getLogger("theirs").warning("with %s", secret)
    structlog.get_logger("theirs").error("said", value=secret, inner={"a": [secret]})
    if context.data.how == "raise":
        raise ValueError(f"cannot reach {secret}")
    if context.data.how == "transient":
        raise TransientError(f"cannot reach {secret}")
    return {"a": 1}

PIPELINES = (Pipeline("things", {"thing.seen": Thing}, (tell,)),)
"""


def quoted(name: str) -> str:
    return make_url("x://h").set(username="u", password=CANARIES[name]).render_as_string(hide_password=False)[4:-2]


@contextmanager
def role_of_its_own(url: str) -> Iterator[str]:
    """The same database, by the name of a role whose password is a canary."""
    role = f"canary_{uuid4().hex[:12]}"
    admin = create_engine(make_url(url), isolation_level="AUTOCOMMIT")
    password = CANARIES["db"].replace("'", "''")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{password}' IN ROLE {make_url(url).username}"))
        own = make_url(url).set(username=role, password=CANARIES["db"])
        yield own.render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            ours = {"role": role}
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role"), ours
            )
            connection.exec_driver_sql(f"DROP ROLE {role}")
        admin.dispose()


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings full of canaries; only the database is there."""
    (tmp_path / "telltale.py").write_text(TELLTALE)
    with role_of_its_own(postgres_url) as database:
        yield {
            "database_url": database,
            "celery_broker_url": f"redis://{quoted('broker')}@127.0.0.1:{free_port()}/0",
            "celery_result_backend": f"redis://{quoted('backend')}@127.0.0.1:{free_port()}/0",
            "elasticsearch_url": f"http://{quoted('search')}@127.0.0.1:{free_port()}",
            "playhead_api_key": KEY,
            "pipelines": "telltale",
        }


def traces(found: str | bytes) -> list[str]:
    """Every canary in a text, with what stands around it."""
    said = found.decode(errors="replace") if isinstance(found, bytes) else found
    places = [index for index in range(len(said)) if said.startswith(WORD, index)]
    return [said[max(0, index - 60) : index + 60] for index in places]


def written_by(process: Process) -> str:
    return process.stdout.read_text() + process.stderr.read_text()


def test_no_process_writes_a_secret_and_no_answer_or_context_has_one(settings: Mapping[str, str], tmp_path: Path):
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    with processes(tmp_path, **settings) as found:
        found.environment |= {"PYTHONPATH": path, "LOG_LEVEL": "debug"}
        commands: list[tuple[str, ...]] = [("worker",), ("beat",)]
        others = [found.start("playhead", *command) for command in commands]
        plain = found.start("celery", "-A", "interfaces.worker.app", "worker", "--pool=solo")
        api, client = found.serve()
        answers = [
            client.post("/events", json={"type": "thing.seen", "data": {"how": "raise"}}),
            client.get("/readyz"),
            client.get("/metrics"),
            client.get("/search?q=x"),
            client.post("/events", content=b"{", headers={"authorization": f"Bearer {KEY}", "cookie": WORD}),
            client.get("/nowhere", headers={"authorization": f"Basic {WORD}"}),
        ]
        wait_until(lambda: "ring_failed" in api.stderr.read_text(), seconds=20, log=api.stderr)
        wait_until(lambda: "onnect" in plain.stderr.read_text(), seconds=30, log=plain.stderr)
        time.sleep(1)
        for process in (*others, plain, api):
            process.popen.terminate()
        for process in (*others, plain, api):
            process.popen.wait(40)
        texts = {f"{process.popen.args[1]}": written_by(process) for process in (*others, plain, api)}
    texts |= {str(answer.request.url): answer.text + str(answer.headers) for answer in answers}

    assert all(texts[name] for name in ("worker", "-A", "serve"))
    assert {name: traces(text) for name, text in texts.items() if traces(text)} == {}


def test_what_a_node_tells_is_kept_without_its_secrets(settings: Mapping[str, str], tmp_path: Path):
    """The engine runs in the API's process here."""
    env = {**environment(tmp_path / "home", **settings), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    with processes(tmp_path, **settings) as found:
        found.environment |= env | {"CELERY_BROKER_URL": ""}
        api, client = found.serve()
        ids = [
            client.post("/events", json={"type": "thing.seen", "data": {"how": how}}).json()["event_id"]
            for how in ("raise", "transient")
        ]
        wait_until(lambda: client.get(f"/tasks/{ids[0]}").json()["status"] == "failed", seconds=20, log=api.stderr)
        wait_until(lambda: client.get(f"/tasks/{ids[1]}").json()["status"] == "retrying", seconds=20, log=api.stderr)
        paths = ["/dead-letters", "/dead-letters/groups", *(f"/events/{each}/contexts" for each in ids)]
        answers = [client.get(path).text for path in (*paths, *(f"/tasks/{each}" for each in ids))]
        shown = [
            run(found.environment, *command, cwd=tmp_path)
            for command in (("dead", "show", ids[0]), ("dead", "show", ids[0], "--json"), ("dead", "list", "--json"))
        ]
    with opened(settings["database_url"]) as store, store.engine.connect() as connection:
        contexts = [row.context for row in connection.execute(text("SELECT context FROM task_contexts"))]

    assert any("cannot reach" in context and "***" in context for context in contexts)
    assert any("cannot reach" in done.stdout for done in shown)
    said = written_by(api)
    assert "theirs" in said
    everything = [*answers, *contexts, said, *(done.stdout + done.stderr for done in shown)]
    assert [trace for part in everything for trace in traces(part)] == []


@pytest.mark.parametrize("wrong", [{}, {"database_url": "database"}], ids=["reachable", "wrong password"])
def test_no_command_prints_a_secret(settings: Mapping[str, str], wrong: Mapping[str, str], tmp_path: Path):
    given = dict(settings)
    if wrong:
        url = make_url(settings["database_url"])
        given["database_url"] = url.set(username="nobody_at_all").render_as_string(hide_password=False)
    env = {**environment(tmp_path / "home", **given), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    (tmp_path / "events.ndjson").write_text("{}\n")
    commands = [
        ("config", "show"),
        ("config", "show", "--json"),
        ("doctor",),
        ("doctor", "--json"),
        ("search", "x"),
        ("events", "list"),
        ("--debug", "events", "show", "x"),
        ("--debug", "search", "x"),
        ("send", "events.ndjson", "--url", f"http://u:{WORD}@127.0.0.1:{free_port()}", "--key", KEY),
    ]
    ended = {" ".join(command[:3]): _ended(env, command, tmp_path) for command in commands}

    assert "***" in ended["config show"]
    assert json.loads(ended["config show --json"])
    assert {name: traces(said) for name, said in ended.items() if traces(said)} == {}


def _ended(env: Mapping[str, str], command: tuple[str, ...], folder: Path) -> str:
    done = subprocess.run(
        [str(BIN / "playhead"), *command], env=dict(env), cwd=folder, capture_output=True, timeout=60, check=False
    )
    return (done.stdout + done.stderr).decode(errors="replace")
