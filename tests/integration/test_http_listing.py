"""GET /events, one event and its contexts: filters, pages, the feed."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from application.subscription import Selection
from tests.integration.http import NDJSON, Http, event, flight, problem, served


@pytest.fixture
def listed(database_url: str, tmp_path: Path) -> Iterator[Http]:
    """Ten events on positions 1 to 10: of two types, three subjects and ten days."""
    with served(database_url, tmp_path, unknown_types="keep") as http:
        lines = [
            event(
                type="flight.recorded" if number % 2 else "kept",
                subject=f"s{number % 3}",
                time=f"2013-01-{number:02}T12:00:00Z",
            )
            for number in range(1, 11)
        ]
        assert http.batch("\n".join(map(json.dumps, lines)), NDJSON).status_code == 202
        yield http


def positions(page: dict[str, Any]) -> list[int]:
    return [found["position"] for found in page["events"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("type=kept", [10, 8, 6, 4, 2]),
        ("subject=s1", [10, 7, 4, 1]),
        ("type=kept&subject=s1", [10, 4]),
        ("status=unrouted", [10, 8, 6, 4, 2]),
        ("status=queued", [9, 7, 5, 3, 1]),
        ("status=queued&subject=s1", [7, 1]),
        ("status=succeeded", []),
        ("type=no.such", []),
        ("since=2013-01-04T12:00:00Z", [10, 9, 8, 7, 6, 5, 4]),
        ("until=2013-01-04T12:00:00Z", [3, 2, 1]),
        ("since=2013-01-04T12:00:00Z&until=2013-01-06T00:00:00Z", [5, 4]),
        ("since=2013-01-04T14:00:00%2B02:00&until=2013-01-04T12:00:01Z", [4]),
        ("after=0", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("after=8", [9, 10]),
        ("after=10", []),
        ("after=9223372036854775807", []),
        ("after=3&limit=2", [4, 5]),
        ("after=3&type=kept&limit=2", [4, 6]),
        ("after=3&status=queued", [5, 7, 9]),
        ("limit=1", [10]),
    ],
)
def test_a_listing_has_the_events_that_fit_newest_first_and_a_feed_oldest_first(
    listed: Http, query: str, expected: list[int]
):
    answer = listed.get(f"/events?{query}")

    assert (answer.status_code, positions(answer.json())) == (200, expected)


@pytest.mark.parametrize(
    "query", ["", "&type=kept", "&status=queued", "&since=2013-01-02T00:00:00%2B01:00&until=2013-01-09T00:00:00Z"]
)
def test_the_links_lead_through_all_pages_without_gap_or_repeat(listed: Http, query: str):
    whole = positions(listed.get(f"/events?limit=1000{query}").json())
    found: list[int] = []
    page = listed.get(f"/events?limit=2{query}")
    while "next" in page.links:
        found += positions(page.json())
        page = listed.get(page.links["next"]["url"])
    found += positions(page.json())

    assert found == whole
    assert page.json()["next"] is None


def test_new_events_do_not_shift_the_pages_behind_a_cursor(listed: Http):
    page = listed.get("/events?limit=3")
    listed.post(event())

    assert positions(listed.get(page.links["next"]["url"]).json()) == [7, 6, 5]
    assert positions(listed.get("/events?limit=1").json()) == [11]


def test_a_cursor_serves_only_the_filter_that_it_came_with(listed: Http):
    cursor = listed.get("/events?type=kept&limit=2").json()["next"]

    assert listed.get(f"/events?type=kept&limit=3&cursor={cursor}").status_code == 200
    for query in ("", "type=flight.recorded&", "type=kept&subject=s1&"):
        refused = listed.get(f"/events?{query}cursor={cursor}")
        assert (refused.status_code, problem(refused)["type"]) == (400, "/problems/invalid-request")


def test_a_cursor_and_a_feed_position_exclude_each_other(listed: Http):
    cursor = listed.get("/events?limit=2").json()["next"]

    assert listed.get(f"/events?after=1&cursor={cursor}").status_code == 400


def test_a_feed_has_no_next_link_for_its_last_position_is_the_next_after(listed: Http):
    page = listed.get("/events?after=0&limit=4")
    following = listed.get(f"/events?after={positions(page.json())[-1]}&limit=4")

    assert "link" not in page.headers
    assert (positions(page.json()), positions(following.json())) == ([1, 2, 3, 4], [5, 6, 7, 8])


def test_one_event_looks_as_it_does_in_the_listing(listed: Http):
    found = listed.get("/events?limit=1").json()["events"][0]

    assert listed.get(f"/events/{found['id']}").json() == found
    assert listed.get(f"/events/{found['id'].upper()}").json() == found


@pytest.mark.parametrize("path", ["/events/{}", "/events/{}/contexts", "/tasks/{}"])
@pytest.mark.parametrize(
    "event_id",
    [
        "01900000-0000-7000-8000-000000000000", "x", "1", "01900000-0000-7000-8000-00000000000g", "%00", "é",
        "0-1900000-000-7000-8000-0000000000000", "019000000000-7000-8000-0000-00000000", "batch",
    ],
)  # fmt: skip
def test_an_unknown_id_is_not_found(http: Http, path: str, event_id: str):
    answer = http.get(path.format(event_id))

    assert (answer.status_code, problem(answer)["type"]) == (404, "/problems/not-found")


def test_the_contexts_of_an_event_come_newest_first_each_as_it_was_stored(working: Http):
    task_id = working.post(event(data=flight(arr_delay=20.0)), {"prefer": "wait=20"}).json()["task_id"]
    answer = working.get(f"/events/{task_id}/contexts")
    [found] = answer.json()["contexts"]

    stored = working.container.contexts().of_event(1)[0]
    assert f'"context":{stored.context}}}' in answer.text
    assert (found["position"], found["status"], found["digest"]) == (1, "completed", stored.digest)
    assert found["context"]["outputs"]["status"] == "late"
    assert found["context"]["event"]["id"] == task_id
    assert found["context"]["run"]["fingerprint"] == stored.fingerprint
    assert positions(working.get("/events?status=succeeded").json()) == [1]


def test_an_event_that_nothing_ran_on_has_no_contexts(http: Http):
    links = http.post(event()).json()["links"]

    assert http.get(links["contexts"]).json() == {"contexts": []}


def test_events_are_listed_as_of_a_position_or_a_time_by_pages(listed: Http):
    times = [event.recorded_at for event in listed.container.events().read(Selection(), limit=20)]
    listed.post(event(subject="later"))
    assert positions(listed.get("/events?as_of=4").json()) == [4, 3, 2, 1]
    whole = listed.get("/events", params={"as_of": times[9].isoformat()}).json()
    assert positions(whole) == list(range(10, 0, -1))
    assert positions(listed.get("/events", params={"as_of": "2000-01-01T00:00:00Z"}).json()) == []
    assert positions(listed.get("/events?as_of=8&after=6").json()) == [7, 8]
    assert positions(listed.get("/events?as_of=8&type=kept&limit=3").json()) == [8, 6, 4]
    assert {each["status"] for each in listed.get("/events?as_of=10").json()["events"]} == {"open", "unrouted"}

    found: list[int] = []
    page = listed.get("/events?as_of=9&limit=4")
    while "next" in page.links:
        found += positions(page.json())
        page = listed.get(page.links["next"]["url"])
    assert found + positions(page.json()) == list(range(9, 0, -1))


@pytest.mark.parametrize(
    "query", ["as_of=12", "as_of=-1", "as_of=9223372036854775808", "as_of=2999-01-01T00:00:00Z", "as_of=yesterday",
              "as_of=2026-01-01", "as_of=3&status=queued"]
)  # fmt: skip
def test_a_moment_that_cannot_be_told_of_is_refused(listed: Http, query: str):
    refused = listed.get(f"/events?{query}")
    assert (refused.status_code, problem(refused)["type"]) == (400, "/problems/invalid-request")


def test_results_are_told_as_of_a_position_or_a_time(working: Http):
    before = working.container.events().now()
    task_id = working.post(event(data=flight(arr_delay=20.0)), {"prefer": "wait=20"}).json()["task_id"]
    [context] = working.container.contexts().of_event(1)
    times = (context.recorded_at, context.recorded_at - timedelta(microseconds=1))
    after, until = ({"as_of": time.isoformat()} for time in times)

    assert working.get(f"/tasks/{task_id}?as_of=1").json()["status"] == "succeeded"
    assert working.get(f"/tasks/{task_id}", params=after).json()["result"]["status"] == "late"
    waiting = working.get(f"/tasks/{task_id}", params=until).json()
    assert (waiting["status"], waiting["state"], waiting["ready"], waiting["result"]) == (
        "open",
        "PENDING",
        False,
        None,
    )
    assert len(working.get(f"/events/{task_id}/contexts", params=after).json()["contexts"]) == 1
    assert working.get(f"/events/{task_id}/contexts", params=until).json() == {"contexts": []}
    for path in (f"/tasks/{task_id}", f"/events/{task_id}/contexts"):
        assert working.get(path, params={"as_of": (before - timedelta(days=1)).isoformat()}).status_code == 404
        assert working.get(path, params={"as_of": "99"}).status_code == 400
