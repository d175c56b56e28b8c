"""Run: load and faults together, then calm, then every check."""

import os
import platform
import pwd
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.end_to_end.processes import ask
from tests.integration.postgres_server import BINARIES
from tests.reliability.chaos import facts as gathering
from tests.reliability.chaos.checks import Invariant
from tests.reliability.chaos.facts import Facts
from tests.reliability.chaos.faults import Happened, Nemesis
from tests.reliability.chaos.form import Form
from tests.reliability.chaos.history import History, lines_of
from tests.reliability.chaos.load import Load
from tests.reliability.chaos.outside_checks import CHECKS
from tests.reliability.chaos.plan import Plan, plan_of
from tests.reliability.chaos.readers import Reader, Sampler
from tests.reliability.chaos.receiver import Ear
from tests.reliability.chaos.recovery import Recovered, Watch
from tests.reliability.chaos.stage import Stage, stage_of, until
from tests.reliability.chaos.timeline import first_violation
from tests.servers import Receiver


@dataclass(kw_only=True)
class Outcome:
    """What a run came to; times in seconds since 1970."""

    form: Form
    plan: Plan
    began: float
    load_ended: float
    settled: float | None
    happened: list[Happened]
    not_begun: list[str]
    recovered: list[Recovered]
    samples: list[dict[str, Any]]
    facts: Facts
    invariants: list[Invariant]
    first_violation: Mapping[str, Any]
    versions: Mapping[str, str]
    unanswered: list[str]
    exits: Mapping[str, int]


def run(form: Form) -> Outcome:
    """Do all of it. Says on standard error how far it is."""
    plan = plan_of(form)
    say(f"{len(plan.faults)} faults in {form.seconds:.0f} s; left out: {dict(plan.left_out) or 'none'}; {form.folder}")
    with stage_of(form) as stage, _engine(stage.store_url) as engine, Receiver.running() as receiver:
        receiver.replies = Ear(engine, History(form.folder / "heard.jsonl"))
        readers = [Reader(engine, 0.1), Reader(engine, 0.37)]
        sampler, watch = Sampler(engine, readers[0]), Watch(engine)
        for one in (*readers, sampler, watch):
            one.start()
        say("everything answers; load and faults begin")
        began, since = time.time(), time.monotonic()
        load = Load(form, stage.api_ports, receiver.url())
        nemesis = Nemesis(stage, plan, watch, History(form.folder / "faults.jsonl"))
        load.begin(since)
        threads = nemesis.begin(since)
        _wait(load.threads + threads, form, readers[0])
        load_ended = time.time()
        settled = until(lambda: _is_settled(engine), seconds=form.calm, pause=0.25)
        settled_at = time.time() if settled else None
        say(f"load and faults ended after {load_ended - began:.0f} s, {'all is done' if settled else 'NOT SETTLED'}")
        last_tick = datetime.fromtimestamp(time.time() - 6, UTC).replace(second=0, microsecond=0).isoformat()
        answering = _answering(stage)
        for one in (*readers, sampler, watch):
            one.stop()
        found = _facts(
            form,
            stage,
            engine,
            readers=readers,
            answering=answering,
            last_tick=last_tick,
            problems=load.problems + nemesis.problems,
        )
        invariants = [check(found) for check in CHECKS]
        violation = first_violation(invariants, found, engine, form.folder)
    return Outcome(
        form=form, plan=plan, began=began, load_ended=load_ended, settled=settled_at, happened=nemesis.happened,
        not_begun=nemesis.not_begun, recovered=watch.records, samples=sampler.samples, facts=found,
        invariants=invariants, first_violation=violation, versions=_versions(form), unanswered=load.unanswered,
        exits=_exits(form),
    )  # fmt: skip


def say(told: str) -> None:
    sys.stderr.write(f"chaos: {told}\n")
    sys.stderr.flush()


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    """Connections of the harness's own, past every proxy; on SQLite such that cannot write."""
    if url.startswith("sqlite"):
        url = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        yield engine
    finally:
        engine.dispose()


def _wait(threads: list[threading.Thread], form: Form, reader: Reader) -> None:
    told = time.monotonic()
    for thread in threads:
        while thread.is_alive():
            thread.join(1)
            if time.monotonic() > told + 15:
                told = time.monotonic()
                say(f"  {len(reader.seen['events']):,} of {form.events:,} events are there, {reader.waiting} wait")


def _is_settled(engine: Engine) -> bool:
    """Whether nothing waits anywhere."""
    with suppress(SQLAlchemyError), engine.connect() as connection:
        if connection.execute(text("SELECT count(*) FROM claims")).scalar_one():
            return False
        open_ended = (
            "SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM task_contexts c "
            "WHERE c.event_position = e.position AND c.status IN ('completed', 'dead'))"
        )
        if connection.execute(text(open_ended)).scalar_one():
            return False
        for name, where in (("index", "status = 'completed'"), ("effects", "calls"), ("follow-ups", "emits")):
            last = connection.execute(text(f"SELECT max(position) FROM task_contexts WHERE {where}")).scalar() or 0
            cursor = text("SELECT cursor FROM subscriptions WHERE name = :name")
            if (connection.execute(cursor, {"name": name}).scalar() or 0) < last:
                return False
        return True
    return False


def _answering(stage: Stage) -> dict[str, bool]:
    answering = {name: until(slot.answers, seconds=15) for name, slot in stage.slots.items()}
    for name, slot in stage.slots.items():
        if slot.port:
            with suppress(OSError):
                answering[name] = ask(slot.port, "GET", "/readyz")[0] == 200
    return answering


def _facts(
    form: Form, stage: Stage, engine: Engine, *, readers: list[Reader], answering: dict[str, bool], last_tick: str,
    problems: list[str],
) -> Facts:  # fmt: skip
    indexed = _indexed(stage)
    ended = stage.stop()
    sent, wrong = gathering.sent_of(form.folder.glob("requests-*.jsonl"))
    with engine.connect() as connection:
        heads = {row.log: row.position for row in connection.execute(text("SELECT log, position FROM heads"))}
    for reader in readers:
        reader.read()
    return Facts(
        sent=sent,
        wrongly_taken=wrong,
        events=gathering.log_of(engine, "events"),
        contexts=gathering.log_of(engine, "task_contexts"),
        heads=heads,
        reasons=gathering.reasons_of(engine),
        claims=gathering.claims_of(engine),
        behind=gathering.behind_of(engine),
        calls=[line for line in lines_of(form.folder / "heard.jsonl") if line["what"] == "heard"],
        effects=gathering.effects_of(engine),
        indexed=indexed,
        readers=readers,
        causes=gathering.causes_of(engine),
        ticks=gathering.ticks_of(engine),
        last_tick_due=last_tick,
        ended=ended,
        answering=answering,
        clean=_cleanliness(stage),
        problems=problems,
        digests=gathering.digests_of(engine),
    )


def _indexed(stage: Stage) -> dict[str, int]:
    """The ids in the index, with their versions."""
    if not stage.search_url:
        with closing(sqlite3.connect(stage.form.folder / "home" / "search.db")) as connection:
            return dict(connection.execute("SELECT event_id, version FROM documents").fetchall())
    with Elasticsearch(stage.search_url) as client:
        client.indices.refresh(index=stage.index)
        hits = scan(client, index=stage.index, query={"_source": False, "version": True}, size=2000)
        return {hit["_id"]: hit["_version"] for hit in hits}


def _cleanliness(stage: Stage) -> dict[str, str]:
    """What the databases' own tools find wrong, by file or database; nothing: the empty string."""
    if stage.database is None:
        told = {}
        for name in ("playhead.db", "search.db"):
            with closing(sqlite3.connect(stage.form.folder / "home" / name)) as connection:
                [(answer,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
                told[name] = "" if answer == "ok" else answer
        return told
    address = urlsplit(stage.database.url)
    command = [BINARIES[-1] / "pg_amcheck", "--install-missing", "-h", "127.0.0.1", "-p", str(address.port)]
    user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    done = subprocess.run(
        [*command, "-U", "postgres", "--heapallindexed", "postgres"], capture_output=True, text=True, user=user,
        cwd="/", check=False,
    )  # fmt: skip
    return {"pg_amcheck": (done.stdout + done.stderr).strip()[:500] if done.returncode else ""}


def _exits(form: Form) -> dict[str, int]:
    """How often processes ended, by kind and exit code; -9 is what the harness does to them."""
    lines = lines_of(form.folder / "processes.jsonl")
    return dict(Counter(f"{line['slot'][:-2]} {line['code']}" for line in lines if line["what"] == "ended"))


def _versions(form: Form) -> dict[str, str]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    versions = {"playhead": commit.stdout.strip(), "python": platform.python_version()}
    if form.on == "embedded":
        return versions | {"sqlite": sqlite3.sqlite_version}
    postgres = subprocess.run([BINARIES[-1] / "postgres", "--version"], capture_output=True, text=True, check=False)
    return versions | {"postgres": postgres.stdout.strip().rpartition(" (")[0] or postgres.stdout.strip()}
