"""The measurement of the corpus gate: export, check, and the check of schemas, as commands over the month."""

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

from scripts.benchmarks.figures import spread
from scripts.benchmarks.flights import MONTH
from scripts.benchmarks.site import BIN, PATIENCE, free_port

CONTEXTS = 27_630
PER_SHAPE = 5_000


def measure_corpus(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PLAYHEAD_HOME": folder, "LOG_LEVEL": "warning"}
        _fill(Path(folder), environment)
        corpus = f"{folder}/corpus.ndjson.gz"
        commands = (
            ["--version"],
            ["corpus", "export", corpus, "--per-shape", str(PER_SHAPE)],
            ["corpus", "check", corpus],
            ["schema", "check"],
            ["schema", "check", "--all"],
        )
        seconds: dict[str, list[float]] = {" ".join(command[:2] + command[2:][-1:]): [] for command in commands}
        for _ in range(rounds):
            for name, command in zip(seconds, commands, strict=True):
                began = time.perf_counter()
                done = subprocess.run(
                    [BIN / "playhead", *command], env=environment, check=True, capture_output=True, text=True
                )
                seconds[name].append(time.perf_counter() - began)
                if command[:2] == ["corpus", "check"]:
                    told = done.stdout.splitlines()[0].rpartition(": ")[2]
        print(told)
        for name, taken in seconds.items():
            print(f"playhead {name.replace(folder + '/', ''):32} {spread(taken, 2)} s")


def _fill(home: Path, environment: dict[str, str]) -> None:
    """Have an embedded service make a result of every flight."""
    port = str(free_port())
    service = subprocess.Popen([BIN / "playhead", "dev", "--port", port], env=environment, stderr=subprocess.DEVNULL)
    try:
        send = [BIN / "playhead", "send", MONTH, "--url", f"http://127.0.0.1:{port}"]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(send, env=environment, capture_output=True, check=False).returncode:
            time.sleep(0.5)
        while _contexts(home) < CONTEXTS:
            if time.monotonic() > deadline:
                raise SystemExit(f"not all contexts after {PATIENCE} s")
            time.sleep(0.2)
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(30)


def _contexts(home: Path) -> int:
    with closing(sqlite3.connect(home / "playhead.db", timeout=30)) as connection:
        return int(connection.execute("SELECT count(*) FROM task_contexts").fetchone()[0])
