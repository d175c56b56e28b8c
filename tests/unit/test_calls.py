"""Declared calls: what is refused when it is declared, and the ids that last for ever."""

import pytest

from domain.effects import effect_id
from domain.errors import PermanentError
from playhead import Email, EmitEvent, HttpCall, TaskContext
from tests.factories import RecordedEventFactory

URL = "https://example.org/hook"
MAIL = {"to": ["a@example.org"], "subject": "Hello", "text": "x"}


def context(node: str = "tell") -> TaskContext:
    return TaskContext(event=RecordedEventFactory()).at(node)


@pytest.mark.parametrize(
    "call",
    [
        HttpCall(url=URL),
        HttpCall(url=URL, body={"deep": [1, None, "ä"]}, method="PUT", headers={"X-Shop": "7"}, answer_type="told"),
        HttpCall(url="http://example.org:8080/a?b=c#d", body="text"),
        Email(to="one@example.org", subject="Späŧ", text="x"),
        Email(to=["a@example.org", "b.c+d@xn--bcher-kva.example"], subject="s", text="x", html="<b>x</b>"),
    ],
)
def test_a_call_is_kept_in_the_context_and_read_back_without_loss(call):
    declared = context().declare(call)

    again = TaskContext.from_json(declared.json)

    assert again.effects == declared.effects
    assert again.digest == declared.digest
    assert {name: getattr(again.effects[0], name) for name in call.members() if name not in {"kind", "node"}} == {
        name: getattr(call, name) for name in call.members() if name not in {"kind", "node"}
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"url": "ftp://example.org/"}, "http://"),
        ({"url": "https:///path"}, "no host"),
        ({"url": "https://user:secret@example.org/"}, "stored for ever"),
        ({"url": "https://example.org/\r\nX: y"}, "no URL"),
        ({"url": "https://example.org/ä"}, "xn--"),
        ({"url": "https://example.org:99999/"}, "no URL"),
        ({"url": "https://example.org/" + "x" * 3000}, "no URL"),
        ({"url": "//example.org/"}, "http://"),
        ({"method": "TRACE"}, "TRACE"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "one line"),
        ({"headers": {"X A": "b"}}, "one line"),
        ({"headers": {"Authorization": "Bearer s3cret"}}, "secret"),
        ({"headers": {"cookie": "a=b"}}, "secret"),
        ({"headers": {"Webhook-Id": "1"}}, "by the service"),
        ({"headers": {"Host": "other"}}, "by the service"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "by the service"),
        ({"body": "x" * (1 << 20) + "x"}, "1,048,576 bytes"),
        ({"body": ["x" * (1 << 20)]}, "1,048,576 bytes"),
        ({"body": float("nan")}, "no JSON form"),
    ],
)
def test_a_call_that_could_never_be_carried_out_is_refused_where_it_is_declared(changes, why):
    with pytest.raises(PermanentError, match=why):
        context().declare(HttpCall(**{"url": URL, **changes}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"to": []}, "1 to 100"),
        ({"to": ["a@example.org"] * 101}, "not 101"),
        ({"to": ["a@example.org\r\nBcc: all@example.org"]}, "not an e-mail address"),
        ({"to": ["a@example.org, b@example.org"]}, "not an e-mail address"),
        ({"to": ["nobody"]}, "not an e-mail address"),
        ({"subject": "Hello\nBcc: all@example.org"}, "one line"),
        ({"subject": "Hello\rBcc: all@example.org"}, "one line"),
        ({"subject": "Hello\u2028there"}, "one line"),
        ({"subject": ""}, "one line"),
        ({"text": "x" * (1 << 20), "html": "y"}, "1,048,576 bytes"),
    ],
)
def test_an_email_that_could_never_be_sent_is_refused_where_it_is_declared(changes, why):
    with pytest.raises(PermanentError, match=why):
        context().declare(Email(**{**MAIL, **changes}))


def test_what_was_declared_under_looser_rules_is_still_read():
    declared = context().declare(HttpCall(url=URL))

    again = TaskContext.from_json(declared.json.replace(URL, "gopher://old"))

    assert again.effects[0].url == "gopher://old"


def test_an_id_is_the_same_in_every_run_and_another_for_every_effect():
    event_id = RecordedEventFactory(id="0190d1a2-0000-7000-8000-000000000001").id
    run = context().declare(HttpCall(url=URL)).declare(HttpCall(url=URL)).at("other").declare(HttpCall(url=URL))
    again = context().declare(HttpCall(url=URL)).declare(HttpCall(url=URL)).at("other").declare(HttpCall(url=URL))

    ids = [effect_id(event_id, effect, pipeline="orders", generation=0) for effect in run.effects]

    assert ids == [effect_id(event_id, effect, pipeline="orders", generation=0) for effect in again.effects]
    others = [
        effect_id(event_id, run.effects[0], pipeline="others", generation=0),
        effect_id(event_id, run.effects[0], pipeline="orders", generation=1),
    ]
    assert len({*ids, *others}) == 5


def test_the_ids_of_follow_ups_are_those_that_are_stored_already():
    effect = EmitEvent(type="t", data={}, node="ask", ordinal=2)

    found = effect_id("01900000-0000-7000-8000-000000000000", effect, pipeline="orders", generation=0)

    assert found == "01900000-0000-725a-a113-7b9bdd71a634"
