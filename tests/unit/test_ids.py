"""Ids are UUIDv7 (RFC 9562), ascending and unique."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from infrastructure.ids import new_id


def test_an_id_is_a_uuid_of_version_7_and_of_the_rfcs_variant():
    for text in (new_id() for _ in range(1000)):
        found = UUID(text)
        assert str(found) == text
        assert (found.version, found.variant) == (7, RFC_4122)


def test_an_id_begins_with_the_milliseconds_of_its_making():
    before = time.time_ns() // 1_000_000
    made = int(new_id().replace("-", "")[:12], 16)

    # Ids of one process ascend, so many in a millisecond may run a little ahead of the clock.
    assert before <= made <= time.time_ns() // 1_000_000 + 1000


def test_ids_ascend_also_within_a_millisecond():
    ids = [new_id() for _ in range(20_000)]

    assert ids == sorted(set(ids))


def test_ids_of_many_threads_are_unique_and_ascend_in_each():
    def some(_: int) -> list[str]:
        return [new_id() for _ in range(5_000)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(some, range(8)))

    assert all(ids == sorted(ids) for ids in found)
    assert len({each for ids in found for each in ids}) == 40_000


def test_the_last_62_bits_are_random():
    tails = {new_id()[20:] for _ in range(1000)}

    assert len(tails) == 1000


def test_a_child_of_a_fork_draws_randomness_of_its_own():
    new_id()  # so that there is some left over
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_id()[20:] for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    drawn = os.read(reading, 1 << 16).decode()
    os.close(reading)
    os.close(writing)

    assert len(drawn) == 100 * 16
    assert not any(new_id()[20:] in drawn for _ in range(100))
