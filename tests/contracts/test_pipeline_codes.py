"""What every keeper of pipelines' code promises: each fingerprint's code, read back as it was, never changed."""

from concurrent.futures import ThreadPoolExecutor

from domain.fingerprints import Choice, Part, PipelineCode
from tests.stores import Store


def code(pipeline: str = "orders", digest: str = "d") -> PipelineCode:
    choices = (Choice(node="kind", outputs=("a", 1, None)), Choice(node="other", outputs=("a",), among=False))
    parts = {
        "node b": Part(digest=digest, reached={"function shop.é": "1", "constant shop.a": "2"}, choices=choices),
        "node a": Part(digest="2"),
    }
    return PipelineCode(pipeline=pipeline, parts=parts, packages=("shop",), unseen=("constant shop.lock",))


def test_nothing_is_known_at_first(store: Store):
    assert store.codes.find([code().fingerprint]) == {}
    assert store.codes.find([]) == {}


def test_a_code_is_read_back_as_it_was_registered(store: Store):
    store.codes.register([code()])
    [found] = store.codes.find([code().fingerprint, "another"]).values()

    assert found == code()
    assert found.fingerprint == code().fingerprint
    assert list(found.parts) == ["node b", "node a"]


def test_what_is_known_stays_and_what_is_new_is_added(store: Store):
    store.codes.register([code()])
    store.codes.register([code(), code(digest="e"), code("others")])
    store.codes.register([])

    wanted = [code(digest="e"), code("others"), code()]
    assert store.codes.find([each.fingerprint for each in wanted]) == {each.fingerprint: each for each in wanted}


def test_several_processes_may_register_the_same_at_once(store: Store):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.codes.register([code(), code("others")]), range(8)))

    assert len(store.codes.find([code().fingerprint, code("others").fingerprint])) == 2
