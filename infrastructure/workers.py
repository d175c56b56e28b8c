"""Workers: the life of a Celery worker's processes, and of beat."""

import logging as std_logging
import mmap
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from billiard import active_children
from celery import Celery, signals
from dependency_injector import providers

from application.pulse import Pulse, Watchdog
from application.sweep import do_chores
from domain.errors import Misconfigured, PlayheadError, Stalled, Unavailable
from infrastructure import logging
from infrastructure.celery.app import PROCESS, RING, make_celery
from infrastructure.celery.connection import reach
from infrastructure.celery.tasks import Bell
from infrastructure.container import WORKER_OWNER, Container
from infrastructure.service import Service, collect_rarely

_EXIT_NOT_CONFIGURED = 4
STALLED = 75
"""The exit code of a worker that leaves work which it could claim (EX_TEMPFAIL of sysexits.h): start it again."""
DRAIN_SECONDS = 18.0
"""How long a worker that was told to stop lets runs go on; then it puts their claims back, and ends."""
END_SECONDS = 22.0
"""After how long it ends whatever Celery still waits for."""
_LOOK_SECONDS = 2.0


class Worker:
    """A Celery application whose tasks ring the engine.

    The stores are opened in each process after the fork: no connection is ever shared across one.
    """

    def __init__(self, container: Container) -> None:
        self._settings = container.settings()
        self._container = container
        self._service: Service | None = None
        self._bell: Bell | None = None
        self._lock = threading.Lock()
        self._pulse = _SharedPulse()
        # Nothing is ever written: it ends for all children when the parent closes its end, or dies.
        self._stop_heard, stop_said = os.pipe()
        self._stop_said: int | None = stop_said
        self._parent = os.getpid()
        self.app = self._make_app(container)

    def _make_app(self, container: Container) -> Celery:
        app = make_celery(self._settings, container.subscriptions())
        app.dropped = lambda reason: container.journal().message_dropped(reason)  # type: ignore[method-assign]  # told here

        @app.task(name=PROCESS, shared=False)
        def process_incoming_event(*arguments: Any, **named: Any) -> str | None:
            return self._opened().process_incoming_event(_first(arguments, named.get("event_id")))

        @app.task(name=RING, shared=False)
        def ring(*arguments: Any, **named: Any) -> None:
            self._opened().ring(_first(arguments, named.get("subscription")))

        signals.celeryd_init.connect(self._set_up_logging, weak=False)
        # Somebody must listen, or Celery sets up logging its own way.
        signals.setup_logging.connect(self._set_up_logging, weak=False)
        signals.worker_init.connect(self._check, weak=False)
        signals.worker_ready.connect(self._begin, weak=False)
        signals.worker_shutting_down.connect(self._say_stop, weak=False)
        signals.worker_process_init.connect(self._open_child, weak=False)
        signals.worker_process_shutdown.connect(self._close, weak=False)
        return app

    def _set_up_logging(self, **_: Any) -> None:
        logging.configure(self._settings.log_format, self._settings.log_level, self._container.mask())
        std_logging.captureWarnings(True)

    def _check(self, **_: Any) -> None:
        """Refuse to start on a database that needs migrations, or without a broker. Runs before the fork."""
        self._parent = os.getpid()
        try:
            require_broker(self._container)
            Service(self._container).prepare(migrate=False)
        except PlayheadError as error:
            sys.stderr.write(self._container.mask()(f"playhead: {error.detail}\n"))
            sys.exit(_EXIT_NOT_CONFIGURED)
        finally:
            self._container.store().close()

    def _begin(self, **_: Any) -> None:
        """Let a worker that starts work one turn of each of its subscriptions unasked; and watch over it."""
        for name in self._container.subscriptions():
            self._container.dispatcher().ring(name)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        """End this worker when it leaves work that it could claim, though its broker is there."""
        container = self._container
        watchdog = Watchdog(
            container.claims(),
            container.subscriptions().values(),
            self._pulse,
            patience=self._settings.watchdog_seconds,
        )
        while True:
            time.sleep(_LOOK_SECONDS)
            with suppress(Unavailable):
                stalled = watchdog.look()
                if stalled is not None and self._hears():
                    container.journal().failed("watchdog", Stalled(f"nobody here works {stalled!r}, which is due"))
                    _end_children()
                    os._exit(STALLED)
            # Nothing stays open that a child might inherit.
            container.store().close()

    def _hears(self) -> bool:
        try:
            reach(self._settings.celery_broker_url)
        except Exception:  # noqa: BLE001  # whatever it is, without a broker nobody can be blamed for hearing nothing
            return False
        return True

    def _say_stop(self, **_: Any) -> None:
        """Let the children hand back what they have not begun. Celery tells them nothing: it waits for them."""
        if self._stop_said is not None:
            os.close(self._stop_said)
            self._stop_said = None
            if os.getpid() == self._parent:
                timer = threading.Timer(END_SECONDS, self._end)
                timer.daemon = True
                timer.start()

    def _end(self) -> None:
        """End although Celery still waits, for a broker that went away, say: every claim has been put back."""
        _end_children()
        sys.stderr.flush()
        os._exit(0)

    def _open_child(self, **_: Any) -> None:
        """Open a child's stores. A pool without processes says so too, in its parent."""
        if os.getpid() != self._parent:
            self._say_stop()  # the child's copy of that end; the parent's decides
        self._open()

    def _open(self) -> None:
        """Make the ports of this process. Nothing is connected, so no child is late for a database that is away."""
        container = Container(
            settings=providers.Object(self._settings),
            registry=providers.Object(self._container.registry()),
            owner_kind=providers.Object(WORKER_OWNER),
            pulse=providers.Object(self._pulse),
        )
        self._service = Service(container)
        collect_rarely()
        self._bell = Bell(
            container.engine(),
            container.events(),
            container.states(),
            container.journal(),
            container.subscription_with(),
        )
        threading.Thread(target=self._hand_back_when_told, args=(self._service,), name="stop", daemon=True).start()

    def _hand_back_when_told(self, service: Service) -> None:
        os.read(self._stop_heard, 1)
        service.hand_back()
        time.sleep(DRAIN_SECONDS)
        with suppress(Unavailable):  # its leases run out
            service.release()
        os._exit(0)

    def _close(self, **_: Any) -> None:
        if self._service is not None:
            self._service.stop()

    def _opened(self) -> Bell:
        with self._lock:
            if self._bell is None:  # pools that send no signal for their processes: threads
                self._open()
        assert self._bell is not None
        return self._bell


class _SharedPulse(Pulse):
    """The pulse of all children of a worker, in memory that they share with it."""

    def __init__(self) -> None:
        self._last = memoryview(mmap.mmap(-1, 8)).cast("d")
        self.beat()

    @property
    def last(self) -> float:
        """A time of the machine's monotonic clock, in seconds."""
        return float(self._last[0])

    def beat(self) -> None:
        self._last[0] = time.monotonic()


def _end_children() -> None:
    for child in active_children():
        if child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)


def _first(arguments: tuple[Any, ...], named: Any) -> Any:
    """What a message says, in whichever shape; a strange one is no reason for a stack trace."""
    return arguments[0] if arguments else named


def require_broker(container: Container) -> None:
    """Refuse settings without a broker.

    Raises:
        Misconfigured: CELERY_BROKER_URL is empty.
    """
    if not container.settings().celery_broker_url:
        raise Misconfigured(
            "CELERY_BROKER_URL is not set: without a broker the engine runs in the API's process "
            "(`playhead dev` or `playhead serve`)."
        )


def run_worker(container: Container, *, queues: str | None = None) -> None:
    """Run a prefork worker until a signal comes."""
    require_broker(container)
    # Not by its command line, which would bring a shell along: 7 MB, in each process.
    worker = Worker(container).app.Worker(
        hostname=f"playhead-{os.getpid()}@{socket.gethostname()}",
        pool_cls="prefork",
        queues=queues,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def run_beat(container: Container) -> None:
    """Sweep every 2 s until a signal comes; a database or a broker that is away is waited for.

    Raises:
        Misconfigured: no broker, or migrations are missing.
    """
    require_broker(container)
    Service(container).prepare(migrate=False)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    chores = {"sweep": container.sweeper().sweep, "schedules": container.clockwork().tick}
    do_chores(chores, container.journal(), stopping=stopping)
    container.store().close()
