"""What every keeper of keys promises: kept with their digests alone, listed by age, revoked once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.api_keys import NewApiKey
from domain.errors import InvalidRequest, NotFound
from tests.stores import Store

CI = NewApiKey(id="0a1b2c3d4e", name="ci", digest="d" * 64, scopes=("events:write", "events:read"))
OPS = NewApiKey(id="ffffffffff", name="ops", digest="e" * 64, scopes=("admin",))


def test_there_are_no_keys_at_first(store: Store):
    assert list(store.api_keys.list()) == []


def test_a_key_is_read_back_as_it_was_kept_the_oldest_first(store: Store):
    kept = [store.api_keys.create(OPS), store.api_keys.create(CI)]
    assert [(key.id, key.name, key.digest, key.scopes) for key in kept] == [
        (new.id, new.name, new.digest, new.scopes) for new in (OPS, CI)
    ]
    assert all(abs(key.created_at - datetime.now(UTC)) < timedelta(minutes=5) for key in kept)
    assert all(key.revoked_at is None for key in kept)
    assert sorted(store.api_keys.list(), key=lambda key: key.name) == sorted(kept, key=lambda key: key.name)


def test_a_name_is_used_once_also_after_it_was_revoked(store: Store):
    store.api_keys.create(CI)
    store.api_keys.revoke(CI.id)
    with pytest.raises(InvalidRequest, match="'ci'"):
        store.api_keys.create(replace(OPS, name="ci"))
    with pytest.raises(InvalidRequest):
        store.api_keys.create(replace(OPS, id=CI.id))
    assert len(store.api_keys.list()) == 1


def test_a_key_is_revoked_once(store: Store):
    store.api_keys.create(CI)
    store.api_keys.create(OPS)
    revoked = store.api_keys.revoke(CI.id)
    assert revoked.revoked_at is not None
    assert store.api_keys.revoke(CI.id) == revoked
    assert {key.id: key.revoked_at for key in store.api_keys.list()} == {CI.id: revoked.revoked_at, OPS.id: None}


def test_what_is_no_key_cannot_be_revoked(store: Store):
    with pytest.raises(NotFound, match="nobody"):
        store.api_keys.revoke("nobody")
