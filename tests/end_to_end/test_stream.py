"""A stream of events from `playhead dev`, and what a SIGTERM does to it."""

import signal
import threading
import time
from pathlib import Path

import httpx

from tests.end_to_end.embedded import dev
from tests.end_to_end.processes import wait_until
from tests.integration.http import event


def test_a_stream_ends_cleanly_at_sigterm_and_holds_up_no_stop(tmp_path: Path):
    lines: list[str] = []
    ended: list[bool] = []

    def read(url: str) -> None:
        with httpx.stream(
            "GET", f"{url}/events?after=0", headers={"accept": "text/event-stream"}, timeout=60
        ) as answer:
            lines.extend(answer.iter_lines())  # raises where the stream is cut off
            ended.append(True)

    with dev(tmp_path / "home") as service:
        reader = threading.Thread(target=read, args=(service.url,))
        reader.start()
        service.client.post("/events", json=event())
        time.sleep(1)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: service.process.poll() is not None, seconds=20, log=service.log)
        assert time.monotonic() - began < 10
        reader.join(10)

    assert ended == [True]
    assert [line for line in lines if line.startswith("id: ")] == ["id: 1"]
