"""What the README and the quickstart tell a new user to type, typed in a fresh clone."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.processes import BIN, MONTH, ROOT, free_port, is_ready, wait_until


def commands(page: str) -> list[str]:
    """The blocks of a page that are to be typed."""
    return re.findall(r"```console\n(.*?)\n```", (ROOT / page).read_text(), re.DOTALL)


class Clone:
    """A fresh clone, and a new user's shell in it."""

    def __init__(self, folder: Path, port: int) -> None:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=60)
        self.folder = folder
        self.port = port
        path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != BIN)
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        self.environment = {**kept, "PATH": path, "NO_COLOR": "1", "PORT": str(port)}

    def type(self, block: str) -> str:
        """Type a block; all that it prints."""
        block = block.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["bash", "-e", "-c", block], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        printed = done.stdout + done.stderr
        assert (done.returncode, "Traceback" in printed) == (0, False), printed
        return printed

    @contextmanager
    def service(self, command: str) -> Iterator[None]:
        """The service that runs in a terminal of its own until Ctrl-C."""
        log = self.folder.parent / "service.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command.split(), cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
        try:
            wait_until(lambda: is_ready(self.port), seconds=30, log=log)
            yield
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.mark.timeout(400)
def test_what_the_pages_say_works_as_typed_in_a_fresh_clone(tmp_path: Path):
    assert shutil.which("curl"), "The README's first event is sent by curl: apt-get install curl"
    demo, _, first_event = commands("README.md")
    dev, send, look, replay = commands("docs/quickstart.md")
    [search] = re.findall(r"`(\./scripts/run search .*?)`", (ROOT / "README.md").read_text())
    clone = Clone(tmp_path / "playhead", free_port())

    clone.type(demo)
    # What the demo's environment has is all that a service at scale has.
    clone.type(".venv/bin/python -c 'import kombu.transport.redis, kombu.transport.pyamqp, infrastructure.workers'")
    with clone.service(dev):
        assert "202 Accepted" in clone.type(first_event)
        wait_until(lambda: "UA1545" in clone.type(search), seconds=20)

        assert "27,004" in clone.type(send)
        assert re.search(r"\n +0 +27,004 +0\n", clone.type(send))
        wait_until(lambda: {"flight.very_late", "HNL"} <= set(clone.type(look).split()), seconds=60)

        rules = clone.folder / "examples/flights/src/flights/departures.py"
        text = rules.read_text()
        assert text.count("LATE = 15.0") == 1
        rules.write_text(text.replace("LATE = 15.0", "LATE = 30.0"))
        delays = [json.loads(line)["data"]["arr_delay"] for line in gzip.decompress(MONTH.read_bytes()).splitlines()]
        different = sum(delay is not None and 15 <= delay < 30 for delay in delays)
        replayed = clone.type(replay)
        assert f"{different:,}" in replayed
        assert f"{len(delays) + 1 - different:,}" in replayed, "the first event is one more that is identical"
