"""The month of flights, sent, looked at from outside, and replayed: the same in both modes."""

import gzip
import json
import statistics
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

import httpx
import pytest

from tests.end_to_end.processes import MONTH

EVENTS, FOLLOW_UPS = 27_004, 626
DONE = Counter({("flights", "completed"): EVENTS, ("very_late", "completed"): FOLLOW_UPS})
STATUSES = {"on_time": 20_197, "late": 6_201, "cancelled": 521, "diverted": 85}


class Service(Protocol):
    """A running service, in whichever mode."""

    @property
    def client(self) -> httpx.Client: ...

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the state of this service; `send` sends to it."""
        ...

    def spoil(self, missing: Sequence[str], altered: Sequence[str]) -> None:
        """Delete documents from the index, and alter others, by their events' ids."""
        ...

    def wait_for(self, contexts: Counter[tuple[str, str]]) -> None:
        """Wait until there are these live contexts, each of another event, and all of them are found."""
        ...


def search(service: Service, **body: Any) -> Any:
    """What a search answers."""
    answer = service.client.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shows(service: Service, contexts: Counter[tuple[str, str]]) -> bool:
    """Whether the index is not behind, and all is found: a document is found within a second after it was indexed."""
    answer = search(service, size=0)
    return (answer["index_lag"], answer["total"]) == (0, contexts.total())


def the_month_runs_once_is_searchable_and_replays_alike(service: Service) -> None:
    """Send it twice, replay it, fill the index anew: each time all is there once."""
    sent = json.loads(service.run("send", str(MONTH), "--json").stdout)
    again = json.loads(service.run("send", str(MONTH), "--json").stdout)
    assert (sent["taken"], sent["repeated"], sent["refused"]) == (EVENTS, 0, 0)
    assert (again["taken"], again["repeated"], again["refused"]) == (0, EVENTS, 0)
    service.wait_for(DONE)

    the_results_are_those_of_the_raw_file(service)
    assert search(service, filters={"pipeline": "very_late"}, size=0)["total"] == FOLLOW_UPS
    a_replay_gives_the_same_and_no_second_follow_up(service)

    the_index_is_verified_and_rebuilt_beside_searches(service)
    the_results_are_those_of_the_raw_file(service)


def the_index_is_verified_and_rebuilt_beside_searches(service: Service) -> None:
    """What was done to it is named, to the document, and mended; meanwhile every search finds what there is."""
    hits = search(service, size=1000)["hits"]
    missing, altered = ([hit["event_id"] for hit in some] for some in (hits[100:117], hits[500:503]))
    assert service.run("index", "verify").returncode == 0
    service.spoil(missing, altered)
    told = service.run("index", "verify", "--json")
    assert told.returncode == 1
    found = {(each["kind"], each["event_id"]) for each in json.loads(told.stdout)["differences"]}
    assert found == {*(("missing", id_) for id_ in missing), *(("altered", id_) for id_ in altered)}

    totals: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            totals.append(search(service, size=0)["total"])

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert service.run("index", "rebuild").returncode == 0
    finally:
        over.set()
        looking.join()
    assert min(totals) >= DONE.total() - len(missing)
    service.wait_for(DONE)
    assert service.run("index", "verify").returncode == 0


def the_results_are_those_of_the_raw_file(service: Service) -> None:
    """Counts by status and mean delays by carrier, asked by search, are those that the file itself says."""
    by_carrier: dict[str, list[float]] = defaultdict(list)
    for line in gzip.decompress(MONTH.read_bytes()).splitlines():
        flight = json.loads(line)["data"]
        if flight["arr_delay"] is not None:
            by_carrier[flight["carrier"]].append(flight["arr_delay"])
    aggs = {
        "status": {"kind": "terms", "field": "status"},
        "carriers": {"kind": "terms", "field": "carrier", "size": 50, "stats": "arr_delay"},
    }
    found = search(service, q="type:flight.recorded", size=0, aggs=aggs)["aggs"]

    assert {bucket["key"]: bucket["count"] for bucket in found["status"]["buckets"]} == STATUSES
    assert {bucket["key"]: bucket["stats"]["avg"] for bucket in found["carriers"]["buckets"]} == {
        carrier: pytest.approx(statistics.fmean(delays)) for carrier, delays in by_carrier.items()
    }


def a_replay_gives_the_same_and_no_second_follow_up(service: Service) -> None:
    """A replay of everything adds a generation with equal digests, and nothing else."""
    plan = json.loads(service.run("replay", "plan", "--all", "--json").stdout)
    assert plan["count"] == EVENTS + FOLLOW_UPS
    ran = json.loads(service.run("replay", "run", str(plan["id"]), "--json").stdout)
    status = json.loads(service.run("replay", "status", str(plan["id"]), "--json").stdout)

    assert {name: ran[name] for name in status} == status
    assert status["done"]
    assert (status["identical"], status["different"], status["without_live"]) == (EVENTS + FOLLOW_UPS, 0, 0)
    service.wait_for(DONE)
    assert service.client.get(f"/events?after={EVENTS + FOLLOW_UPS}").json()["events"] == []
