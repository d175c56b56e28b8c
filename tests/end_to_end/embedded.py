"""The embedded service as its user has it: `playhead dev` as a process, and `playhead` commands beside it."""

import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.end_to_end.month import shows
from tests.end_to_end.processes import (
    LIVE_CONTEXTS,
    counted,
    environment,
    free_port,
    is_ready,
    run,
    started,
    wait_until,
)


@dataclass(frozen=True, kw_only=True)
class Dev:
    """A running `playhead dev`."""

    process: subprocess.Popen[bytes]
    log: Path
    home: Path
    env: Mapping[str, str]
    url: str
    client: httpx.Client

    def run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on the state of this service; `send` sends to it."""
        to = ("--url", self.url) if arguments[0] == "send" else ()
        return run(self.env, *arguments, *to, cwd=self.home.parent, stdin=stdin)

    def spoil(self, missing: Sequence[str], altered: Sequence[str]) -> None:
        """Delete documents from the index, and alter others, by their events' ids."""
        with closing(sqlite3.connect(self.home / "search.db", timeout=30)) as index, index:
            index.executemany("DELETE FROM documents WHERE event_id = ?", [(event_id,) for event_id in missing])
            index.executemany(
                'UPDATE hits SET hit = replace(hit, \'"carrier":"\', \'"carrier":"X\') '
                "WHERE id = (SELECT id FROM documents WHERE event_id = ?)",
                [(event_id,) for event_id in altered],
            )

    def wait_for(self, contexts: Counter[tuple[str, str]]) -> None:
        """Wait until there are these live contexts and all of them are found."""
        wait_until(lambda: self._has(contexts), seconds=100, log=self.log)

    def _has(self, contexts: Counter[tuple[str, str]]) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return live_contexts(self.home) == contexts and shows(self, contexts)


@contextmanager
def dev(home: Path, **settings: str) -> Iterator[Dev]:
    """Run `playhead dev` on a free port for as long as the block runs."""
    port, log, env = free_port(), home.parent / "dev.log", environment(home, **settings)
    url = f"http://127.0.0.1:{port}"
    with (
        started(["playhead", "dev", "--port", str(port)], env, log) as process,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        wait_until(lambda: is_ready(port), seconds=20, log=log)
        yield Dev(process=process, log=log, home=home, env=env, url=url, client=client)


def live_contexts(home: Path) -> Counter[tuple[str, str]]:
    """How many live contexts there are by pipeline and status, each of another event; read past the service."""
    with closing(sqlite3.connect(f"file:{home / 'playhead.db'}?mode=ro", uri=True, timeout=30)) as connection:
        return counted(connection.execute(LIVE_CONTEXTS).fetchall())


def leases(home: Path) -> int:
    """How many claims somebody holds."""
    with closing(sqlite3.connect(home / "playhead.db")) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM claims WHERE owner IS NOT NULL")
    return int(count)


def replayed(home: Path) -> int:
    """How many contexts replays have made."""
    with closing(sqlite3.connect(home / "playhead.db", timeout=30)) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM task_contexts WHERE generation > 0")
    return int(count)
