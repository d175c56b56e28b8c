"""Real processes for the tests of the whole: `playhead` with an environment of its own, on a free port."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
MONTH = ROOT / "examples/flights/data/flights-2013-01.ndjson.gz"


def environment(home: Path, **settings: str) -> dict[str, str]:
    """An environment whose settings are these and no others."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
    named = {"PLAYHEAD_HOME": str(home), "LOG_LEVEL": "warning", "NO_COLOR": "1"}
    return {**kept, **named, **{name.upper(): value for name, value in settings.items()}}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def started(command: list[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended by its id when the block ends; its output goes to the log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]], env=dict(env), cwd=log.parent, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def run(
    env: Mapping[str, str], *arguments: str, cwd: Path, timeout: float = 150, stdin: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `playhead` to its end. However it ends, it shows no stack trace."""
    done = subprocess.run(
        [str(BIN / "playhead"), *arguments], env=dict(env), cwd=cwd, input=stdin, capture_output=True, timeout=timeout,
        check=False,
    )  # fmt: skip
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """A request to a service on this machine; status and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, content, {"Content-Type": "application/json", **given})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def wait_until(condition: Callable[[], Any], *, seconds: float = 60, log: Path | None = None) -> Any:
    """Wait for a condition and give what it gave; shows the log when it never comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-3000:] if log else ""
    raise AssertionError(f"not within {seconds} s\n{tail}")


def is_ready(port: int) -> bool:
    """Whether the service takes events."""
    try:
        return ask(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


LIVE_CONTEXTS = (
    "SELECT pipeline, status, count(*), count(DISTINCT event_position) FROM task_contexts "
    "WHERE generation = 0 GROUP BY 1, 2"
)


def counted(rows: Iterable[Any]) -> Counter[tuple[str, str]]:
    """What `LIVE_CONTEXTS` gave: contexts by pipeline and status; no event may have two of them."""
    found = Counter[tuple[str, str]]()
    for pipeline, status, contexts, events in rows:
        assert contexts == events, f"{pipeline} {status}: {contexts} contexts of {events} events"
        found[pipeline, status] = contexts
    return found
