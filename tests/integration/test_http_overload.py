"""Too many waiting events: refused before they are accepted, with a time; known keys are answered all the same."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from interfaces.cli.feeding import feed
from tests.integration.http import Http, event, problem, served, text


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[Http]:
    """A service without an engine, of whose flights at most five may wait."""
    with served(database_url, tmp_path, backlog_limit=5) as found:
        yield found


def fill(http: Http) -> None:
    assert http.batch([event() for _ in range(5)]).status_code == 202
    http.container.admission().look()


def test_an_event_too_many_is_refused_with_a_time(http: Http):
    fill(http)
    answer = http.post(event())
    found = problem(answer)
    assert (answer.status_code, found["type"]) == (429, "/problems/overloaded")
    assert int(answer.headers["retry-after"]) == found["retry_after"] > 0
    assert "flights" in found["detail"]
    assert http.stored() == 5


def test_the_events_of_other_pipelines_are_taken(http: Http):
    fill(http)
    late = {"type": "flight.very_late", "data": {"flight_event_id": "x", "carrier": "UA", "origin": "EWR",
            "dest": "IAH", "arr_delay": 130.0}}  # fmt: skip
    answer = http.batch([event(), late, event()])
    items = answer.json()["items"]
    assert answer.status_code == 207
    assert [item["status"] for item in items] == [429, 202, 429]
    assert int(answer.headers["retry-after"]) == items[0]["problem"]["retry_after"]


def test_a_repeat_is_answered_as_the_first_was(http: Http):
    first = http.post(event(), {"idempotency-key": "k"}).json()
    fill(http)
    again = http.post(event(), {"idempotency-key": "k"})
    assert (again.status_code, again.json()["event_id"]) == (202, first["event_id"])


class Congested:
    """A service that takes every other new line at first, as its answers are seen by a client."""

    def __init__(self) -> None:
        self.requests: list[tuple[list[bytes], str | None]] = []
        self.stored: set[bytes] = set()

    def request(self, _: str, __: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
        lines = body.split(b"\n")
        self.requests.append((lines, headers.get("Idempotency-Key")))
        items: list[dict[str, object]] = []
        for index, line in enumerate(lines):
            if line in self.stored:
                items.append({"index": index, "status": 202, "event_id": "x", "repeated": True})
            elif len(self.requests) == 1 and index % 2:
                items.append({"index": index, "status": 429, "problem": {"retry_after": 3, "detail": "wait"}})
            else:
                self.stored.add(line)
                items.append({"index": index, "status": 202, "event_id": "x"})
        return 207, {"items": items}

    def close(self) -> None: ...


@pytest.mark.parametrize("keyed", [True, False])
def test_a_sender_sends_again_what_was_refused_for_now_and_counts_each_line_once(*, keyed: bool):
    lines = [text(subject=f"F{number}").encode() for number in range(6)]
    waited: list[float] = []
    with closing(Congested()) as service:
        summary = feed(lines, service, keyed=keyed, progress=lambda _: None, wait=waited.append)  # type: ignore[arg-type]
    assert (summary.taken, summary.repeated, summary.refused) == (6, 0, 0)
    assert waited == [3.0]
    assert service.stored == set(lines)
    [(_, key), (again, same_key)] = service.requests
    assert key == same_key
    assert len(again) == (6 if keyed else 3)
