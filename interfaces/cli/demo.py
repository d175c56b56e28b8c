"""The demo: real flights through an embedded service of its own, and what became of them."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from domain.errors import Misconfigured
from interfaces.cli import output, server
from interfaces.cli.client import Client
from interfaces.cli.feeding import feed, read_lines
from interfaces.cli.stores import container_of

if TYPE_CHECKING:
    from infrastructure.container import Container

HOME = Path(".playhead/demo")
PATIENCE = 120
_PAGE = 2_000


def run_demo(count: int) -> int:
    """Run the demo; its exit code."""
    sample = _sample()
    if HOME.exists():
        shutil.rmtree(HOME)
    container = container_of(
        playhead_home=HOME,
        database_url="",
        celery_broker_url="",
        elasticsearch_url="",
        host="127.0.0.1",
        api_keys="off",  # a service of its own, for as long as the demo runs
        port=0,
        log_level="error",
    )
    if "flights" not in container.registry():
        raise Misconfigured("The flights example is not installed. Run: pip install -e examples/flights")
    with _service(container) as url:
        output.say(f"Playhead demo: embedded service on {url} (SQLite, threads, FTS5), state in {HOME}")
        client = Client(url)
        began = time.perf_counter()
        lines = read_lines(str(sample))[:count]
        with output.progress("flights sent", len(lines)) as bar:
            summary = feed(lines, client, keyed=True, progress=bar.to)
        _wait_until_done(container)
        seconds = time.perf_counter() - began
        _show(container, client, seconds)
        client.close()
    return output.DONE if summary.taken == len(lines) else output.SOME_FAILED


def _sample() -> Path:
    """The bundled flights, beside the installed example."""
    import flights

    places = [parent / "data" / "flights-2013-01.ndjson.gz" for parent in Path(flights.__file__).resolve().parents]
    sample = next((place for place in places if place.exists()), None)
    if sample is None:
        raise Misconfigured("The bundled flights are not beside the installed example. Run the demo from a checkout.")
    return sample


@contextmanager
def _service(container: "Container") -> Iterator[str]:
    """Run the service in this process, on a free port, for as long as the block runs."""
    from infrastructure.service import Service
    from interfaces.http.app import create_app
    from interfaces.http.protocol import Server

    service = Service(container)
    listener = server.listen("127.0.0.1", 0)
    try:
        service.prepare(migrate=True)
        service.open_index()
        service.start_engine()
        http = Server(create_app(container))
        thread = threading.Thread(target=http.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            http.should_exit = True
            thread.join(timeout=10)
    finally:
        listener.close()
        service.stop()


def _wait_until_done(container: "Container") -> None:
    """Wait until every event has ended and the index has every result."""
    from application.use_cases.backlogs import is_idle
    from application.use_cases.results import index_lag

    events, claims = container.events(), container.claims()
    deadline = time.monotonic() + PATIENCE
    with output.progress("events run and indexed", events.head()) as bar:
        while not is_idle(claims=claims):
            if time.monotonic() > deadline:
                output.fail(f"the engine is not done after {PATIENCE} s; look into {HOME}", output.SOME_FAILED)
            total = events.head()
            bar.to(total - min(total, index_lag(claims=claims)), total)
            # Nobody rings for a cursor that has only others' events to pass; the sweep would, after seconds.
            for name in claims.subscriptions():
                container.dispatcher().ring(name)
            time.sleep(0.05)
        bar.to(events.head(), events.head())


def _show(container: "Container", client: Client, seconds: float) -> None:
    head = container.events().head()
    rows = _by_pipeline(container)
    columns = ("pipeline", "accepted", "succeeded", "failed", "retried", "p95 from accepted to completed")
    output.put_table(columns, rows, title=f"{head:,} events in {seconds:.1f} s ({head / seconds:,.0f}/s)")
    query = {"q": "status:late", "size": 3, "sort": "-arr_delay"}
    aggs = {"by carrier": {"kind": "terms", "field": "carrier", "size": 5, "stats": "arr_delay"}}
    _, found = client.request("POST", "/search", to_json({**query, "aggs": aggs}), {"Content-Type": "application/json"})
    from application.ports.task_states import EventFilter
    from interfaces.cli.biography import put_biography
    from interfaces.cli.commands.search import put_aggregation, put_hits

    output.put(f"search status:late: {found['total']:,} found; the latest, and the carriers of all:\n")
    shown = ("carrier", "flight", "origin", "dest", "status", "arr_delay", "speed_kmh", "time")
    if found["hits"]:
        put_hits([{name: hit[name] for name in shown} for hit in found["hits"]])
        put_aggregation("by carrier", found["aggs"]["by carrier"])
    [newest] = container.states().find(EventFilter(), limit=1)
    latest = found["hits"][0]["event_id"] if found["hits"] else newest.event.id
    output.put("the biography of the latest:\n")
    put_biography(container.biography(latest))
    home = f"PLAYHEAD_HOME={HOME}"
    output.put("\nnext:\n")
    output.put(f"  {home} ./scripts/run search 'dest:HNL AND arr_delay:[15 TO *]'")
    output.put(f"  {home} ./scripts/run replay plan --type flight.very_late")
    output.put(f"  {home} ./scripts/run explain {latest}")


def _by_pipeline(container: "Container") -> Sequence[Sequence[Any]]:
    """For each pipeline: events accepted, contexts by status, and the slowest twentieth from append to append."""
    from application.subscription import Selection

    counted = {(pipeline, status): count for pipeline, status, count in container.contexts().summary(0)}
    rows = []
    for pipeline in container.registry():
        recorded = {
            event.position: event.recorded_at
            for event in container.events().stream(Selection(where={"route": pipeline.name}), page=_PAGE)
        }
        waits = sorted(
            (context.recorded_at - recorded[context.event_position]).total_seconds()
            for context in _completed(container, pipeline.name)
        )
        p95 = f"{waits[int(len(waits) * 0.95)] * 1000:,.0f} ms" if waits else ""
        statuses = [counted.get((pipeline.name, status), 0) for status in ("completed", "dead", "failed")]
        rows.append((pipeline.name, len(recorded), *statuses, p95))
    return rows


def _completed(container: "Container", pipeline: str) -> Iterator[Any]:
    from application.subscription import Selection

    after = 0
    where = {"pipeline": pipeline, "status": "completed", "generation": 0}
    while rows := container.contexts().read(Selection(where=where, after=after), limit=_PAGE):
        yield from rows
        after = rows[-1].position
