"""An older dump under a newer index: nothing is taken for indexed that is not, and a rebuild mends it."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from application.subscription import Selection
from application.use_cases.indices import rebuild_index
from application.use_cases.restoring import MarkRestored, mark_restored
from application.use_cases.results import INDEX
from domain.errors import RebuildNeeded
from infrastructure.elasticsearch.client import connect
from tests.conftest import service_url
from tests.factories import EPOCH
from tests.integration.http import Http, event, flight, served
from tests.sealed import found

SEARCH = ("fts5", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch))


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A database, an index and an anchor, and a service that may be started on them again and again."""

    database_url: str
    home: Path
    settings: dict[str, Any]

    @contextmanager
    def started(self) -> Iterator[Http]:
        with served(self.database_url, self.home, **self.settings) as http:
            yield http

    def dump(self) -> None:
        """Dump as docs/how-to/backup-and-restore.md says."""
        if self._file is None:
            self._run("pg_dump", "--format=custom", f"--file={self.home / 'dump'}")
        else:
            with closing(sqlite3.connect(self._file)) as connection:
                connection.execute("VACUUM INTO ?", (str(self.home / "dump"),))

    def restore(self) -> None:
        """Put the dump back."""
        if self._file is None:
            self._run("pg_restore", "--clean", "--if-exists", "--no-owner", str(self.home / "dump"))
        else:
            for suffix in ("-wal", "-shm"):
                Path(f"{self._file}{suffix}").unlink(missing_ok=True)
            shutil.copy(self.home / "dump", self._file)

    @property
    def _file(self) -> str | None:
        url = make_url(self.database_url)
        return url.database if url.get_backend_name() == "sqlite" else None

    def _run(self, command: str, *arguments: str) -> None:
        url = self.database_url.replace("+psycopg", "")
        subprocess.run([command, f"--dbname={url}", *arguments], check=True, timeout=60)


@pytest.fixture(params=SEARCH)
def installation(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Installation]:
    settings: dict[str, Any] = {"seal_anchor": str(tmp_path / "anchor.ndjson")}
    if request.param == "fts5":
        yield Installation(database_url=database_url, home=tmp_path, settings=settings)
        return
    url, alias = service_url("TEST_ELASTICSEARCH_URL"), f"test-{uuid4().hex}"
    settings |= {"elasticsearch_url": url, "elasticsearch_index": alias}
    yield Installation(database_url=database_url, home=tmp_path, settings=settings)
    with connect(url) as client:
        client.indices.delete(index=[*client.indices.get(index=f"{alias}*")])


def post(http: Http, *subjects: str) -> None:
    for subject in subjects:
        assert http.post(event(subject=subject, data=flight())).status_code == 202


def settle(http: Http, *, but: str = "") -> None:
    """Work until nothing is due."""
    engine = http.container.engine()
    while sum(engine.turn(name) for name in engine.works if name != but):
        pass


def shown(http: Http) -> list[str]:
    """The subjects that a search finds."""
    if http.container.settings().elasticsearch_url:
        index = http.container.search_index()
        index._client.indices.refresh(index=index._alias)
    return sorted(hit["subject"] for hit in http.post({"size": 100}, path="/search").json()["hits"])


def stored(http: Http) -> list[str]:
    return sorted(each.subject for each in http.container.events().read(Selection(), limit=100))


def rebuild(http: Http) -> None:
    container = http.container
    rebuild_index(builder=container.index_builder(), auditor=container.auditor())
    settle(http)


def say_restored(http: Http) -> None:
    container = http.container
    mark_restored(
        MarkRestored(ids={log: container.new_id() for log in ("events", "task_contexts")}, at=EPOCH),
        seals=container.seals(),
        log_ids=container.log_ids(),
        anchor=container.anchor(),
        auditor=container.auditor(),
    )


def tampering(http: Http) -> dict[str, dict[str, int]]:
    container = http.container
    return found(container.seals(), container.log_ids(), container.anchor())


@pytest.mark.parametrize("said", [True, False], ids=["said", "not said"])
def test_an_older_dump_under_a_newer_index(installation: Installation, *, said: bool):
    with installation.started() as http:
        post(http, "a", "b", "c")
        settle(http)
        before = http.get("/events?after=0").headers["playhead-log-id"]
    installation.dump()
    with installation.started() as http:
        post(http, "lost", "gone")
        settle(http)
        assert shown(http) == ["a", "b", "c", "gone", "lost"]
        assert tampering(http) == {}

    installation.restore()
    with installation.started() as http:
        if said:
            say_restored(http)
        assert (http.get("/events?after=0").headers["playhead-log-id"] == before) is not said
        with pytest.raises(RebuildNeeded, match="index rebuild"):
            http.container.indexer().open()
        post(http, "new", "newer", "newest")
        settle(http, but=INDEX)
    with installation.started() as http:
        # The log has grown past the index meanwhile, which changes nothing.
        with pytest.raises(RebuildNeeded):
            http.container.engine().turn(INDEX)
        assert "index rebuild" in http.post({}, path="/search").json()["warning"]
        assert shown(http) == ["a", "b", "c", "gone", "lost"]
        ready = http.get("/readyz")
        assert ready.status_code == 200
        assert "index rebuild" in ready.json()["checks"]["search"]["detail"]

        rebuild(http)
        assert shown(http) == stored(http) == ["a", "b", "c", "new", "newer", "newest"]
        assert http.post({}, path="/search").json()["warning"] is None
        assert http.get("/readyz").json()["checks"]["search"]["ok"]
        post(http, "next")
        settle(http)
        assert shown(http) == stored(http)
        assert set(tampering(http)) == (set() if said else {"events", "task_contexts"})
