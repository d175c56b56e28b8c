"""Keys: what is made, what is kept of it, what is good, and how soon a change is known."""

import hashlib
from collections.abc import Sequence

import pytest

from application.auditor import Auditor
from application.key_ring import FRESH_SECONDS, PAUSE_SECONDS, KeyRing
from application.ports.api_keys import ApiKey
from application.use_cases.keys import CreatedKey, CreateKey, create_key, has_good_key, revoke_key
from domain.access import KEY, SCOPES, allows
from domain.errors import InvalidRequest, NotFound, Unavailable
from infrastructure.ids import new_key_parts
from infrastructure.memory.store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def make(store: MemoryStore, name: str = "ci", *scopes: str) -> CreatedKey:
    return create_key(
        CreateKey(name=name, scopes=scopes or ("events:write",)),
        keys=store.api_keys,
        auditor=Auditor("cli:somebody", store.audit),
        new_key_parts=new_key_parts,
    )


def revoke(store: MemoryStore, key_id: str) -> None:
    revoke_key(key_id, keys=store.api_keys, auditor=Auditor("cli:somebody", store.audit))


def test_of_a_key_only_the_digest_of_its_secret_is_kept(store: MemoryStore):
    made = make(store)

    parts = KEY.fullmatch(made.text)
    assert parts is not None
    assert made.key.id == parts["id"]
    [kept] = store.api_keys.list()
    assert kept.digest == hashlib.sha256(parts["secret"].encode()).hexdigest()
    assert parts["secret"] not in repr((kept, store.audit.read()))


def test_no_two_keys_are_alike(store: MemoryStore):
    texts = {make(store, f"k{number}").text for number in range(50)}
    assert len(texts) == 50


@pytest.mark.parametrize("name", ["", "a b", "É", "-x", "x" * 64, "a\n", "A"])
def test_a_name_is_one_that_stands_well_in_a_line(store: MemoryStore, name: str):
    with pytest.raises(InvalidRequest, match="cannot be called"):
        make(store, name)


@pytest.mark.parametrize("scopes", [("all",), ("events:write", "root"), ("EVENTS:READ",)])
def test_an_unknown_scope_is_refused_with_those_that_there_are(store: MemoryStore, scopes: tuple[str, ...]):
    with pytest.raises(InvalidRequest, match="The scopes are events:write"):
        make(store, "ci", *scopes)
    assert not has_good_key(keys=store.api_keys)


def test_a_key_without_a_scope_and_a_name_twice_are_refused_and_leave_no_entry(store: MemoryStore):
    make(store)
    with pytest.raises(InvalidRequest, match="may do nothing"):
        create_key(
            CreateKey(name="other", scopes=()),
            keys=store.api_keys,
            auditor=Auditor("cli:somebody", store.audit),
            new_key_parts=new_key_parts,
        )
    with pytest.raises(InvalidRequest, match="'ci'"):
        make(store)
    assert len(store.audit.read()) == 1


def test_what_is_done_to_keys_is_in_the_audit(store: MemoryStore):
    made = make(store, "ci", "admin", "replay")
    revoke(store, made.key.id)
    with pytest.raises(NotFound):
        revoke(store, "nobody")

    entries = [(entry.actor, entry.action, entry.target, dict(entry.detail)) for entry in store.audit.read()]
    assert entries == [
        ("cli:somebody", "keys.revoke", "ci", {"id": made.key.id}),
        ("cli:somebody", "keys.create", "ci", {"id": made.key.id, "scopes": ["replay", "admin"]}),
    ]


def test_admin_is_allowed_everything_and_the_others_what_they_say():
    for needed in SCOPES:
        assert allows(["admin"], needed)
        assert [scope for scope in SCOPES if allows([scope], needed)] == [
            scope for scope in SCOPES if scope in {needed, "admin"}
        ]
        assert not allows([], needed)


class Counted:
    """Keys, and how often they were listed; away when told so."""

    def __init__(self, store: MemoryStore) -> None:
        self.inner, self.listed, self.away = store.api_keys, 0, False

    def list(self) -> Sequence[ApiKey]:
        self.listed += 1
        if self.away:
            raise Unavailable("away")
        return self.inner.list()


class Ring:
    """A ring whose clock stands until it is moved, asked as the guard asks it."""

    def __init__(self, store: MemoryStore) -> None:
        self.now = 100.0
        self.keys = Counted(store)
        self.ring = KeyRing(self.keys, clock=lambda: self.now)  # type: ignore[arg-type]  # it only lists

    def find(self, text: str) -> ApiKey | None:
        came = self.now
        while self.ring.must_look(text, since=came):
            self.now += self.ring.pause()
            self.ring.look()
        return self.ring.find(text)


def test_a_key_is_found_by_its_whole_text_alone(store: MemoryStore):
    made, other = make(store), make(store, "other")
    ring = Ring(store)

    assert ring.find(made.text) == made.key
    swapped = f"ph_{made.key.id}_{other.text.split('_', 2)[2]}"
    last = "A" if made.text[-1] != "A" else "B"
    for wrong in (
        "",
        made.text[:-1],
        made.text[:-1] + last,
        made.text + "x",
        made.text.upper(),
        swapped,
        " " + made.text,
    ):
        assert ring.find(wrong) is None


def test_the_database_is_asked_once_in_five_seconds_however_many_ask(store: MemoryStore):
    made = make(store)
    ring = Ring(store)
    for _ in range(1000):
        assert ring.find(made.text)
        ring.now += (FRESH_SECONDS - 0.01) / 1000
    assert ring.keys.listed == 1


def test_a_revoked_key_is_refused_after_five_seconds(store: MemoryStore):
    made = make(store)
    ring = Ring(store)
    assert ring.find(made.text)
    revoke(store, made.key.id)

    ring.now += 5.0

    assert ring.find(made.text) is None


def test_a_new_key_is_good_at_once_and_a_flood_of_wrong_ones_asks_seldom(store: MemoryStore):
    ring = Ring(store)
    wrong = "ph_0123456789_" + "x" * 43
    began = ring.now
    for _ in range(100):
        assert ring.find(wrong) is None
    assert ring.keys.listed <= 1 + (ring.now - began + 0.001) / PAUSE_SECONDS

    made = make(store)
    ring.now += 0.001
    assert ring.find(made.text) == made.key


def test_text_that_cannot_be_a_key_asks_nobody(store: MemoryStore):
    ring = Ring(store)
    assert ring.find("Bearer") is None
    assert ring.find("ph_0123456789_" + "é" * 43) is None
    assert ring.keys.listed == 0


def test_while_the_database_is_away_known_keys_are_good_and_of_others_nothing_is_said(store: MemoryStore):
    made = make(store)
    ring = Ring(store)
    assert ring.find(made.text)
    ring.keys.away = True

    ring.now += FRESH_SECONDS - 0.1
    assert ring.find(made.text)
    with pytest.raises(Unavailable):
        ring.find("ph_0123456789_" + "x" * 43)
    ring.now += 0.1
    with pytest.raises(Unavailable):
        ring.find(made.text)
