"""`playhead send` against a running service: files, standard input, keys, delays, refusals, a service that is away."""

import gzip
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.embedded import Dev, dev
from tests.end_to_end.month import EVENTS
from tests.end_to_end.processes import BIN, MONTH, environment, free_port, run, wait_until

LINES = gzip.decompress(MONTH.read_bytes()).splitlines()[:1_200]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev(tmp_path_factory.mktemp("sending") / "home") as found:
        yield found


def summary(done: Any) -> tuple[int, int, int]:
    found = json.loads(done.stdout)
    assert set(found) == {"taken", "repeated", "refused", "first_refusals"}
    return found["taken"], found["repeated"], found["refused"]


def lines_of(first: int, count: int, mark: str) -> bytes:
    """Lines that no other test sends."""
    return (
        b"\n".join(line.replace(b'"nyc"', json.dumps(mark).encode()) for line in LINES[first : first + count]) + b"\n"
    )


def test_a_plain_file_a_gz_and_standard_input_are_the_same_lines(service: Dev, tmp_path: Path):
    content = lines_of(0, 700, "forms")
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "zipped.gz").write_bytes(gzip.compress(content))

    assert summary(service.run("send", str(tmp_path / "plain"), "--json")) == (700, 0, 0)
    assert summary(service.run("send", str(tmp_path / "zipped.gz"), "--json")) == (0, 700, 0)
    assert summary(service.run("send", "-", "--json", stdin=content)) == (0, 700, 0)
    assert summary(service.run("send", "-", "--json", stdin=gzip.compress(content))) == (0, 700, 0)


def test_sent_as_new_the_same_lines_are_stored_again(service: Dev):
    content = lines_of(0, 3, "new")

    assert summary(service.run("send", "-", "--new", "--json", stdin=content)) == (3, 0, 0)
    assert summary(service.run("send", "-", "--new", "--json", stdin=content)) == (3, 0, 0)
    listed = service.client.get("/events", params={"type": "flight.recorded", "limit": 3}).json()["events"]
    assert [event["key"] for event in listed] == [None] * 3


def test_two_equal_lines_of_a_file_are_two_events(service: Dev):
    assert summary(service.run("send", "-", "--json", stdin=lines_of(0, 1, "twice") * 2)) == (2, 0, 0)


def test_refused_lines_are_told_by_their_numbers_and_the_others_are_taken(service: Dev):
    good = lines_of(0, 2, "refusals").split(b"\n")
    content = b"\n".join([good[0], b"", b"{broken", b'{"type": "flight.recorded", "data": {}}', b"\xff\xfe", good[1]])
    done = service.run("send", "-", "--json", stdin=content)
    people = service.run("send", "-", stdin=content)

    assert (done.returncode, people.returncode) == (1, 1)
    assert summary(done) == (2, 0, 3)
    assert [refusal["line"] for refusal in json.loads(done.stdout)["first_refusals"]] == [3, 4, 5]
    told = [line.split(":")[0] for line in people.stderr.splitlines() if line.startswith("line ")]
    assert told == ["line 3", "line 4", "line 5"]


def test_of_many_refused_lines_the_first_are_told_and_the_others_counted(service: Dev):
    done = service.run("send", "-", stdin=b"{\n" * 9 + b"\xff\n" + b"{\n")

    told = [line.split(":")[0] for line in done.stderr.splitlines() if line.startswith("line ")]
    assert told == ["line 1", "line 2", "line 3", "line 4", "line 5"]
    assert "and 6 more" in done.stderr


def test_lines_together_larger_than_a_body_may_be_are_sent_in_smaller_batches(service: Dev):
    big = json.dumps({"type": "no.such.type", "data": {"text": "x" * 900_000}}).encode()
    done = service.run("send", "-", "--json", stdin=b"\n".join([big] * 20) + b"\n" + lines_of(0, 1, "large"))

    assert (done.returncode, summary(done)) == (1, (1, 0, 20))
    assert "no.such.type" in json.loads(done.stdout)["first_refusals"][0]["reason"]


def test_delayed_events_are_queued_with_the_time_they_are_due(service: Dev):
    later = ("--not-before", "2999-01-01T00:00:00Z")
    assert summary(service.run("send", "-", *later, "--json", stdin=lines_of(0, 2, "later"))) == (2, 0, 0)
    queued = json.loads(service.run("events", "list", "--status", "queued", "--json").stdout)

    assert len(queued) == 2
    assert "due 2999-01-01 00:00:00Z" in service.run("events", "show", queued[0]["id"]).stdout


def test_a_send_that_was_interrupted_goes_on_where_it_stopped(service: Dev, tmp_path: Path):
    # What an interrupted send leaves: its first batch, under its keys, and nothing of the second.
    from interfaces.cli.client import Client
    from interfaces.cli.feeding import feed

    content = lines_of(0, 1_200, "interrupted")
    (tmp_path / "file").write_bytes(content)

    def stop(done: int) -> None:
        if done >= 500:
            raise KeyboardInterrupt

    with closing(Client(service.url)) as client, pytest.raises(KeyboardInterrupt):
        feed(content.splitlines(), client, keyed=True, progress=stop)

    assert summary(service.run("send", str(tmp_path / "file"), "--json")) == (700, 500, 0)


def test_ctrl_c_ends_a_send_with_130_and_it_may_be_done_again(tmp_path: Path):
    with dev(tmp_path / "home") as service:
        command = [str(BIN / "playhead"), "send", str(MONTH), "--url", service.url]
        sending = subprocess.Popen(command, env=dict(service.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: service.client.get("/events", params={"limit": 1}).json()["events"])
        sending.send_signal(signal.SIGINT)
        out, err = sending.communicate(timeout=30)
        taken, repeated, refused = summary(service.run("send", str(MONTH), "--json"))

    assert (sending.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert (taken + repeated, refused) == (EVENTS, 0)
    assert repeated > 0


def test_an_empty_file_is_sent_with_nothing_taken(service: Dev):
    assert summary(service.run("send", "-", "--json", stdin=b"\n\n")) == (0, 0, 0)


def test_a_service_that_is_away_ends_with_4_and_says_what_to_do(tmp_path: Path):
    url = f"http://127.0.0.1:{free_port()}"
    done = run(environment(tmp_path), "send", str(MONTH), "--url", url, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (4, "")
    assert f"No Playhead answers at {url} (Connection refused)." in done.stderr
    assert "playhead dev" in done.stderr


def test_another_service_at_the_url_ends_with_4(service: Dev):
    done = run(service.env, "send", "-", "--url", service.url + "/nowhere", cwd=service.home.parent, stdin=LINES[0])

    assert (done.returncode, done.stdout) == (4, "")
    assert "404" in done.stderr


def test_a_service_that_asks_for_a_key_is_sent_to_with_one(tmp_path: Path):
    with dev(tmp_path / "home", api_keys="on") as service:
        assert "Requests need a key" in service.log.read_text()
        refused = service.run("send", "-", "--json", stdin=lines_of(0, 3, "keyed"))
        assert (refused.returncode, "asks for a key" in refused.stderr) == (4, True)

        key = service.run("keys", "create", "sender", "--scope", "events:write").stdout.strip()
        reader = service.run("keys", "create", "reader", "--scope", "events:read").stdout.strip()
        wrong = service.run("send", "-", "--key", key[:-2], stdin=lines_of(0, 3, "keyed"))
        assert (wrong.returncode, "takes this key for none" in wrong.stderr) == (4, True)
        forbidden = service.run("send", "-", "--key", reader, stdin=lines_of(0, 3, "keyed"))
        assert (forbidden.returncode, "lacks the scope events:write" in forbidden.stderr) == (4, True)

        assert summary(service.run("send", "-", "--json", "--key", key, stdin=lines_of(0, 3, "keyed"))) == (3, 0, 0)
        by_setting = run({**service.env, "PLAYHEAD_API_KEY": key}, "send", "-", "--json", "--url", service.url,
                         cwd=tmp_path, stdin=lines_of(0, 4, "keyed again"))  # fmt: skip
        assert summary(by_setting) == (4, 0, 0)
        said = "".join(done.stdout + done.stderr for done in (refused, wrong, forbidden, by_setting))
        for secret in (key, reader):
            assert secret.split("_", 2)[2] not in said + service.log.read_text()
