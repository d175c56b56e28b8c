"""Stage: the processes of a chaos run, each restarted when it ends, behind proxies that faults may use."""

import base64
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from elasticsearch import Elasticsearch

from tests.end_to_end.processes import ask, free_port, wait_until
from tests.end_to_end.scale import Process, Processes, processes
from tests.integration.postgres_server import PostgresServer, postgres_server_of_its_own
from tests.reliability.chaos.form import Form
from tests.reliability.chaos.history import History
from tests.reliability.chaos.proxy import READY_FOR_QUERY, Proxy, postgres_commits
from tests.reliability.chaos.servers import Broker, RabbitBroker, RedisBroker
from tests.stores import opened

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PIPELINES = "tests.reliability.chaos.pipelines"
RESTART_SECONDS = 1.5
STOP_SECONDS = 25.0


@dataclass
class Slot:
    """A process that has its place: when it ends, another takes it."""

    name: str
    command: tuple[str, ...]
    port: int = 0
    process: Process | None = None
    ended_at: float | None = None
    starts: int = 0

    def answers(self) -> bool:
        """Whether it is at work, as far as it can be told from outside."""
        if self.process is None or self.process.popen.poll() is not None:
            return False
        if self.port:
            with suppress(OSError, ValueError):
                return ask(self.port, "GET", "/livez")[0] == 200
            return False
        return self.command[1] != "worker" or " ready." in self.process.stderr.read_text()


@dataclass
class Stage:
    """What runs, and where. `store_url` and `search_url` lead past the proxies."""

    form: Form
    found: Processes
    history: History
    store_url: str
    index: str = ""
    search_url: str = ""
    database: PostgresServer | None = None
    broker: Broker | None = None
    links: dict[str, Proxy] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    api_ports: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, *command: str, port: int = 0) -> None:
        """Give a process its place, and start it."""
        self.slots[name] = Slot(name, command, port)
        self._start(self.slots[name])

    def named(self, kind: str, draw: float) -> Slot:
        """One of the slots of a kind, by a number from 0 to 1."""
        slots = [slot for slot in self.slots.values() if slot.name.startswith(kind)]
        return slots[int(draw * len(slots))]

    def supervise(self) -> threading.Thread:
        """Restart what ends, a while later."""
        thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        thread.start()
        return thread

    def kill(self, slot: Slot) -> list[int]:
        """SIGKILL to its whole group; the ids of its processes."""
        process = slot.process
        if process is None or process.popen.poll() is not None:
            return []
        with suppress(OSError):
            ids = [process.popen.pid, *process.children()]
            self.history.add("killed", slot=slot.name, ids=ids)
            process.kill()
            return ids
        return []

    def stop(self) -> dict[str, tuple[int | None, float]]:
        """SIGTERM to all at once; each one's exit code (None: it did not end in time) and seconds."""
        self._stopping.set()
        began = time.monotonic()
        with self._lock:
            running = {slot.name: slot.process for slot in self.slots.values() if slot.process is not None}
        for process in running.values():
            with suppress(ProcessLookupError):
                os.kill(process.popen.pid, signal.SIGTERM)
        ended: dict[str, tuple[int | None, float]] = {}
        while len(ended) < len(running) and time.monotonic() < began + STOP_SECONDS:
            for name, process in running.items():
                if name not in ended and process.popen.poll() is not None:
                    ended[name] = process.popen.returncode, round(time.monotonic() - began, 2)
            time.sleep(0.05)
        return {name: ended.get(name, (None, STOP_SECONDS)) for name in running}

    def _start(self, slot: Slot) -> None:
        slot.process = self.found.start(*slot.command)
        slot.starts += 1
        slot.ended_at = None
        self.history.add("started", slot=slot.name, id=slot.process.popen.pid)

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            with self._lock:
                for slot in self.slots.values():
                    self._look_after(slot)

    def _look_after(self, slot: Slot) -> None:
        assert slot.process is not None
        code = slot.process.popen.poll()
        if code is None or self._stopping.is_set():
            return
        if slot.ended_at is None:
            slot.ended_at = time.monotonic()
            self.history.add("ended", slot=slot.name, code=code)
        elif time.monotonic() > slot.ended_at + RESTART_SECONDS:
            self._start(slot)


@contextmanager
def stage_of(form: Form) -> Iterator[Stage]:
    """Everything started and answering; all of it gone at the end."""
    build = _embedded if form.on == "embedded" else _at_scale
    with ExitStack() as stack, History(form.folder / "processes.jsonl") as history:
        stage = build(form, history, stack)
        stack.callback(stage._stopping.set)
        for slot in stage.slots.values():
            assert slot.process is not None
            wait_until(slot.answers, seconds=60, log=slot.process.stderr)
        stage.supervise()
        yield stage


def _settings(form: Form) -> dict[str, str]:
    return {
        "pipelines": PIPELINES,
        "outgoing_allow": "127.0.0.1",
        "webhook_secret": SECRET,
        "lease_seconds": str(form.lease),
        "backlog_limit": str(form.backlog_limit),
    }


def _embedded(form: Form, history: History, stack: ExitStack) -> Stage:
    found = stack.enter_context(processes(form.folder, **_settings(form)))
    home, port = form.folder / "home", free_port()
    stage = Stage(form, found, history, f"sqlite:///{home / 'playhead.db'}")
    stage.links["api"] = _proxy(stack, ("127.0.0.1", port))
    stage.api_ports = [stage.links["api"].port]
    with opened(stage.store_url) as store:
        store.upgrade()
    stage.add("api-0", "playhead", "serve", "--port", str(port), port=port)
    return stage


def _at_scale(form: Form, history: History, stack: ExitStack) -> Stage:
    database = stack.enter_context(postgres_server_of_its_own())
    broker: Broker = RedisBroker(form.folder) if form.on == "postgres-redis" else RabbitBroker()
    stack.callback(broker.kill)
    broker.start()
    search = urlsplit(os.environ["TEST_ELASTICSEARCH_URL"])
    index = f"chaos-{form.folder.name.lower()}-{os.getpid()}"
    address = urlsplit(database.url)
    links = {
        "database": _proxy(
            stack, (str(address.hostname), address.port or 0), commits=postgres_commits, answer_ends=READY_FOR_QUERY
        ),
        "broker": _proxy(stack, ("127.0.0.1", broker.port)),
        "search": _proxy(stack, (str(search.hostname), search.port or 0)),
    }
    by_way = {name: link.port for name, link in links.items()}
    found = stack.enter_context(
        processes(
            form.folder,
            database_url=database.url.replace(f":{address.port}", f":{by_way['database']}"),
            celery_broker_url=broker.url(by_way["broker"]),
            elasticsearch_url=f"{search.scheme}://127.0.0.1:{by_way['search']}",
            elasticsearch_index=index,
            **_settings(form),
        )
    )
    with opened(database.url) as store:
        store.upgrade()
    stack.callback(_forget_index, search.geturl(), index)
    stage = Stage(
        form, found, history, database.url, index=index, search_url=search.geturl(), database=database, broker=broker,
        links=links,
    )  # fmt: skip
    for number in range(2):
        port = free_port()
        stage.api_ports.append(port)
        stage.add(f"api-{number}", "playhead", "serve", "--port", str(port), port=port)
        stage.add(f"worker-{number}", "playhead", "worker")
        stage.add(f"beat-{number}", "playhead", "beat")
    return stage


def _proxy(stack: ExitStack, target: tuple[str, int], **options: object) -> Proxy:
    proxy = Proxy(target, **options)
    stack.callback(proxy.close)
    return proxy


def _forget_index(url: str, index: str) -> None:
    with Elasticsearch(url) as client:
        for name in client.indices.get(index=f"{index}-*"):
            client.indices.delete(index=name)


def until(condition: Callable[[], object], *, seconds: float, pause: float = 0.05) -> bool:
    """Whether a condition came true in time; what it raises of a server that is away is no answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            if condition():
                return True
        time.sleep(pause)
    return False
