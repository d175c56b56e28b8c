"""What every anchor promises: lines are read back in the order of their coming."""

from pathlib import Path

import pytest

from application.ports.anchor import Anchor
from domain.errors import Unavailable
from domain.seals import AnchorLine
from infrastructure.anchor_file import FileAnchor
from infrastructure.memory.anchor import MemoryAnchor
from tests.factories import EPOCH, event_id


@pytest.fixture(params=["memory", "file"])
def anchor(request: pytest.FixtureRequest, tmp_path: Path) -> Anchor:
    return MemoryAnchor() if request.param == "memory" else FileAnchor(tmp_path / "anchor.ndjson")


def line(last: int, log: str = "events", **rest) -> AnchorLine:
    chain = last.to_bytes(32, "big")
    return AnchorLine(log=log, log_id=event_id(1), last_position=last, chain=chain, recorded_at=EPOCH, **rest)


def test_lines_are_read_back_in_order(anchor: Anchor):
    lines = [line(1), line(2, restored_from=event_id(2)), line(1, "task_contexts")]
    anchor.append(lines[:2])
    anchor.append(lines[2:])
    assert list(anchor.read()) == lines
    assert (anchor.last("events"), anchor.last("task_contexts")) == (lines[1], lines[2])


def test_an_anchor_without_lines_has_no_last_one_and_cannot_be_compared_with(anchor: Anchor):
    assert anchor.last("events") is None
    with pytest.raises(Unavailable):
        list(anchor.read())


def test_the_last_line_of_a_log_is_found_far_from_the_end(anchor: Anchor):
    anchor.append([line(1)])
    anchor.append([line(number, "task_contexts") for number in range(1, 2000)])
    assert anchor.last("events") == line(1)


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path):
    anchor = FileAnchor(tmp_path / "anchor.ndjson")
    anchor.append([line(1)])
    with anchor.path.open("ab") as file:
        file.write(b'{"log": "events", "log_id"')
    anchor.append([line(2)])
    assert list(anchor.read()) == [line(1), None, line(2)]


@pytest.mark.parametrize("raw", [b"\xff", b"[]", b'{"chain": "xx"}', b'{"log": "events", "chain": "00"}', b"7"])
def test_what_is_no_line_is_passed_over(tmp_path: Path, raw: bytes):
    anchor = FileAnchor(tmp_path / "anchor.ndjson")
    anchor.path.write_bytes(raw + b"\n")
    anchor.append([line(1)])
    assert list(anchor.read()) == [None, line(1)]
    assert anchor.last("events") == line(1)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    anchor = FileAnchor(tmp_path / "nowhere" / "anchor.ndjson")
    with pytest.raises(Unavailable, match="SEAL_ANCHOR"):
        anchor.append([line(1)])
