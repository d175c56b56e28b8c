"""The parts of chaos that a quiet run depends on: the plan, the proxy that loses answers, checks that see."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.reliability.chaos.checks import LOG_CHECKS, Invariant
from tests.reliability.chaos.facts import Facts, Sent
from tests.reliability.chaos.figures import covered
from tests.reliability.chaos.form import Form
from tests.reliability.chaos.outside_checks import CHECKS
from tests.reliability.chaos.plan import plan_of
from tests.reliability.chaos.proxy import READY_FOR_QUERY, Proxy, Wire, postgres_commits
from tests.reliability.chaos.readers import Reader

FULL = Form(on="postgres-redis", events=100_000, seed=1, minutes=15, lease=30, folder=Path())
SMALL = replace(FULL, events=10_000, minutes=2, lease=3)
DATA = '{"nonce": "p0-1/0", "weight":  1.50, "mood": "\\u0066ine"}'


def test_a_seed_gives_the_same_faults_again_and_another_seed_others() -> None:
    assert plan_of(SMALL) == plan_of(SMALL)
    assert plan_of(SMALL) != plan_of(replace(SMALL, seed=2))


def test_the_full_form_has_the_faults_that_were_promised() -> None:
    counts, small = (Counter(fault.kind for fault in plan_of(form).faults) for form in (FULL, SMALL))
    assert not plan_of(FULL).left_out
    assert (counts["worker-kill"], counts["api-kill"], counts["beat-kill"]) == (50, 20, 10)
    assert (counts["broker-kill"] + counts["broker-flush"], counts["database-stop"]) == (15, 10)
    assert (small["worker-kill"], small["api-kill"], small["beat-kill"], small["database-stop"]) == (5, 2, 1, 1)
    assert small.keys() == counts.keys()


@pytest.mark.parametrize("form", [FULL, SMALL, replace(SMALL, on="embedded"), replace(SMALL, on="postgres-rabbitmq")])
def test_a_track_has_one_fault_at_a_time_and_none_outside_of_the_load(form: Form) -> None:
    for track in plan_of(form).tracks:
        end = 0.0
        for fault in track:
            assert fault.at >= end
            end = fault.at + fault.seconds
        assert end <= form.seconds


def test_faults_that_do_not_fit_are_named() -> None:
    short = replace(SMALL, minutes=0.5)
    plan = plan_of(short)
    assert plan.left_out
    assert sum(plan.left_out.values()) + len(plan.faults) == len(plan_of(SMALL).faults)


def test_a_statement_that_commits_is_known_by_its_text_and_later_by_its_name() -> None:
    wire = Wire(None, None)
    parse = b"P\x00\x00\x00\x30_pg3_0\x00SELECT * FROM append_events($1)\x00\x00\x00"
    bind = b"B\x00\x00\x00\x20\x00_pg3_0\x00\x00\x01"
    assert not postgres_commits(bind, wire)
    assert postgres_commits(b"P\x00\x00\x00\x30\x00SELECT complete_claim($1)\x00\x00\x00", wire)
    assert postgres_commits(parse + bind, wire)
    assert postgres_commits(bind, wire)
    assert not postgres_commits(b"P\x00\x00\x00\x30\x00SELECT 1\x00\x00\x00", wire)


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers each message in two parts, and keeps what it heard."""
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1000):
                    heard.append(data)
                    connection.sendall(b"rows")
                    connection.sendall(READY_FOR_QUERY)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_an_answer_is_lost_after_the_server_gave_it_and_the_next_one_comes(server: tuple[int, list[bytes]]) -> None:
    port, heard = server
    proxy = Proxy(("127.0.0.1", port), commits=lambda data, _: b"commit" in data, answer_ends=READY_FOR_QUERY)
    with closing(proxy):
        proxy.lose(1)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            assert _asked(client, b"look").endswith(READY_FOR_QUERY)
            assert _asked(client, b"commit") == b""
        assert (heard, proxy.lost) == ([b"look", b"commit"], 1)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            assert _asked(client, b"commit").endswith(READY_FOR_QUERY)


def test_a_stalled_proxy_lets_all_through_when_it_flows_again(server: tuple[int, list[bytes]]) -> None:
    proxy = Proxy(("127.0.0.1", server[0]))
    with closing(proxy), socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        assert _asked(client, b"first")
        proxy.stall()
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            _asked(client, b"second")
        client.settimeout(5)
        proxy.flow()
        assert client.recv(4) == b"rows"


def _asked(client: socket.socket, message: bytes) -> bytes:
    client.sendall(message)
    answer = b""
    try:
        while not answer.endswith(READY_FOR_QUERY) and (data := client.recv(1000)):
            answer += data
    except ConnectionResetError:
        return b""
    return answer


def test_time_that_others_covered_is_counted_once() -> None:
    assert covered([(1, 4), (3, 5), (9, 20)], (2, 10)) == pytest.approx(4)


def _row(**values: Any) -> Any:
    return SimpleNamespace(**values)


def _facts(**changes: Any) -> Facts:
    """A run of one event, as it should be."""
    event = _row(
        position=1, id="e1", type="chaos.read", source="chaos", subject="s", route="readings", data=DATA, key="p0-1"
    )
    context = _row(position=1, event_position=1, pipeline="readings", generation=0, status="completed", digest="d")
    reader = Reader(engine=None, pause=1)
    reader.seen = {"events": ["a"], "task_contexts": ["b"]}
    sent = Sent("p0-1", "chaos.read", "s", DATA, ids={"e1"})
    good: dict[str, Any] = {
        "sent": {"p0-1": sent}, "wrongly_taken": [], "events": [event], "contexts": [context],
        "heads": {"events": 1, "task_contexts": 1}, "reasons": {}, "claims": [], "behind": [], "calls": [],
        "effects": {}, "indexed": {"e1": 1}, "readers": [reader], "causes": {}, "ticks": ["2026-01-01T00:00:00Z"],
        "last_tick_due": "2026-01-01T00:00:00+00:00", "ended": {"api-0": (0, 1.0)}, "answering": {"api-0": True},
        "clean": {"db": ""}, "problems": [], "digests": {"events": ["a"], "task_contexts": ["b"]},
    }  # fmt: skip
    return Facts(**{**good, **changes})


def _broken(facts: Facts) -> set[str]:
    found: list[Invariant] = [check(facts) for check in CHECKS]
    return {check.__name__ for check, one in zip(CHECKS, found, strict=True) if one.exceptions}


def _event(**changes: Any) -> Any:
    return _row(**{**vars(_facts().events[0]), **changes})


def _context(**changes: Any) -> Any:
    return _row(**{**vars(_facts().contexts[0]), **changes})


def test_a_good_run_breaks_nothing() -> None:
    assert not _broken(_facts())


TWICE = [_context(), _context(position=2)]
CALL = {"id": "c", "nonce": "p0-1/0", "body": "x", "committed": False, "came": 1.0}
POISON = DATA.replace("\\u0066ine", "\\u0070oison")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"events": []}, "answered_events_are_kept"),
        ({"events": [_event(data="{}")]}, "answered_events_are_kept"),
        ({"events": [_event(id="e2")]}, "answered_events_are_kept"),
        ({"sent": {"p0-1": Sent("p0-1", "chaos.read", "s", DATA, unknown=True)},
          "events": [_event(), _event(position=2, key="x")]}, "unknown_events_are_there_at_most_once"),
        ({"sent": {"p0-1": Sent("p0-1", "chaos.read", "s", DATA, refused=True)}}, "refused_events_are_not_there"),
        ({"sent": {}}, "nothing_else_is_there"),
        ({"wrongly_taken": ["p0-1: an other body was answered 202"]}, "nothing_else_is_there"),
        ({"events": [_event(position=2)]}, "positions_are_gapless"),
        ({"heads": {"events": 2, "task_contexts": 1}}, "positions_are_gapless"),
        ({"digests": {"events": ["z"], "task_contexts": ["b"]}}, "readers_saw_the_same"),
        ({"contexts": []}, "every_event_ended_once"),
        ({"contexts": TWICE}, "every_event_ended_once"),
        ({"contexts": [_context(status="dead")], "reasons": {1: None}}, "every_event_ended_once"),
        ({"contexts": [_context(status="dead")], "reasons": {1: "WorkerDied: 3"}}, "only_poison_is_dead"),
        ({"sent": {"p0-1": Sent("p0-1", "chaos.read", "s", POISON, ids={"e1"})}}, "only_poison_is_dead"),
        ({"events": [_event(route="moves"), _event(position=2, route="moves", id="e2")],
          "contexts": [_context(event_position=2), _context(position=2)]}, "subjects_ended_in_order"),
        ({"events": [_event(route="asking")]}, "follow_ups_are_there_once"),
        ({"ticks": ["2026-01-01T00:00:00Z"] * 2}, "slots_were_sent_once"),
        ({"last_tick_due": "2026-01-01T00:01:00+00:00"}, "slots_were_sent_once"),
        ({"events": [_event(route="telling")]}, "calls_were_made"),
        ({"calls": [CALL, {**CALL, "body": "y"}]}, "repeated_calls_are_alike"),
        ({"calls": [CALL]}, "calls_came_after_their_commit"),
        ({"indexed": {}}, "index_equals_the_fold"),
        ({"indexed": {"e1": 2}}, "index_equals_the_fold"),
        ({"indexed": {"e1": 1, "e2": 1}}, "index_equals_the_fold"),
        ({"claims": ["readings 1-1"]}, "nothing_is_left"),
        ({"behind": ["readings: 0 of 1"]}, "nothing_is_left"),
        ({"ended": {"api-0": (None, 25.0)}}, "processes_answer_and_end"),
        ({"answering": {"api-0": False}}, "processes_answer_and_end"),
        ({"clean": {"db": "row 3 missing from index"}}, "stores_are_clean"),
        ({"problems": ["producer 1: KeyError"]}, "harness_did_its_part"),
    ],
)  # fmt: skip
def test_each_check_sees_what_it_is_for(changes: dict[str, Any], check: str) -> None:
    assert check in _broken(_facts(**changes))


def test_every_check_is_seen_to_fail_here() -> None:
    [marked] = test_each_check_sees_what_it_is_for.pytestmark
    assert {check for _, check in marked.args[1]} == {check.__name__ for check in CHECKS}
    assert set(LOG_CHECKS) <= set(CHECKS)
