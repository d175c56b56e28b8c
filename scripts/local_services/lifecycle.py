"""Bring services up and down: a given address, then containers, then this machine's own packages."""

import functools
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local_services import compose, packages, state
from local_services.processes import ServiceError, free_port, interrupted, is_free, wait_for_answer, wait_until
from local_services.service import Service
from local_services.state import Record


@dataclass(frozen=True)
class Outcome:
    """What came of one service: its address, or why there is none."""

    service: Service
    url: str = ""
    how: str = ""
    problem: str = ""
    started_now: bool = False


def say(text: str) -> None:
    """Tell people; stdout belongs to the shell."""
    print(f"services: {text}", file=sys.stderr, flush=True)


def _tell(outcome: Outcome) -> None:
    say(f"{outcome.service.name:<13}  {outcome.how or 'not started'}: {outcome.url or outcome.problem}")


def bring_up(services: Sequence[Service], *, may_install: bool) -> list[Outcome]:
    """Start what is not there yet, side by side. What cannot be had says why, and the others go on."""
    with state.lock():
        outcomes = {service.name: find(service) for service in services}
        for outcome in outcomes.values():
            if outcome.url:
                _tell(outcome)
        for way in (_bring_up_in_containers, _bring_up_here):
            wanted = [service for service in services if not outcomes[service.name].url]
            if wanted and not interrupted.is_set():
                outcomes |= {outcome.service.name: outcome for outcome in way(wanted, may_install=may_install)}
    return list(outcomes.values())


def find(service: Service) -> Outcome:
    """The service as it is now: given, running, or neither."""
    record, given = state.load(service.name), os.environ.get(service.variable, "")
    # An address from an earlier start, perhaps since killed, is ours and not a given one.
    if given and not (record and record.url == given):
        doubt = "" if service.answers(given) else ", though nothing answers there (unset it to start one)"
        return Outcome(service, given, how=f"given by {service.variable}{doubt}")
    if record is None:
        return Outcome(service, problem="not started")
    if record.is_alive() and service.answers(record.url):
        return Outcome(service, record.url, how="running")
    return Outcome(service, problem=f"started at {record.url}, but it does not answer now")


def bring_down(services: Sequence[Service]) -> list[str]:
    """Stop what was started for this project, dead or alive, and remove its data; the answer names it."""
    with state.lock():
        records = [(service, record) for service in services if (record := state.load(service.name))]
        with ThreadPoolExecutor(len(services)) as threads:
            list(threads.map(lambda pair: _stop(*pair), records))
    return [service.name for service, _ in records]


def _stop(service: Service, record: Record) -> None:
    if record.compose:
        compose.remove(service.name)
    _stop_processes(service, record)
    state.forget(service.name, record)


def _stop_processes(service: Service, record: Record) -> None:
    for process in reversed(record.processes):
        process.stop(service.stop_signal)
    record.processes = []


def install(services: Sequence[Service], *, may_install: bool) -> dict[str, str]:
    """Install the packages that are lacking; the answer says for each service still without what prevents it."""
    names = sorted({package for service in services for package in service.lacking()})
    if not names:
        return {}
    reason = packages.why_not() if may_install else "--no-install was given"
    if not reason:
        say(f"this machine lacks {', '.join(names)}: apt-get installs them, which may take some minutes")
        try:
            packages.install(names)
        except ServiceError as error:
            reason = str(error)
    return {
        service.name: f"lacks {', '.join(lacking)}: {reason}. {packages.advice(lacking)}"
        for service in services
        if (lacking := service.lacking())
    }


def _bring_up_in_containers(services: Sequence[Service], *, may_install: bool) -> list[Outcome]:
    if not compose.is_available():
        return []
    began = time.monotonic()
    ports = {service.name: free_port() for service in services}
    try:
        compose.up(
            {service.name: (service.port_variable, ports[service.name]) for service in services},
            pull=may_install,
        )
    except ServiceError as error:
        say(f"docker compose: {error}")
        return []
    outcomes = []
    for service in services:
        record = Record(service.url(ports[service.name]), compose=True)
        state.save(service.name, record)
        if not wait_until(functools.partial(service.answers, record.url), 10):  # an engine on another machine
            say(f"docker compose: {service.name} does not answer at {record.url}")
            _stop(service, record)
            continue
        how = f"started by docker compose in {time.monotonic() - began:.1f} s"
        outcomes.append(Outcome(service, record.url, how=how, started_now=True))
        _tell(outcomes[-1])
    return outcomes


def _bring_up_here(services: Sequence[Service], *, may_install: bool) -> list[Outcome]:
    problems = install(services, may_install=may_install)

    def bring_up_one(service: Service) -> Outcome:
        problem = problems.get(service.name, "")
        try:
            outcome = Outcome(service, problem=problem) if problem else _start(service, may_install=may_install)
        except (ServiceError, OSError) as error:
            outcome = Outcome(service, problem=str(error))
        _tell(outcome)
        return outcome

    with ThreadPoolExecutor(len(services)) as threads:
        return list(threads.map(bring_up_one, services))


def _start(service: Service, *, may_install: bool) -> Outcome:
    began = time.monotonic()
    if not service.is_fetched():
        if not may_install:
            raise ServiceError("its jars are not on this machine, and --no-install was given")
        service.fetch()
    record = _fresh_or_former(service)
    directory = Path(record.directory)
    state.save(service.name, record)
    try:
        for process in service.launch(directory, record.ports):
            record.processes.append(process)
            state.save(service.name, record)
        wait_for_answer(lambda: service.answers(record.url), process, service.patience, directory / "log")
        service.prepare(record.ports)
    except (ServiceError, OSError):
        _stop_processes(service, record)
        raise
    return Outcome(service, record.url, how=f"started in {time.monotonic() - began:.1f} s", started_now=True)


def _fresh_or_former(service: Service) -> Record:
    """A service that died keeps its data, and its address where that is still free."""
    record = state.load(service.name)
    if record is None or record.compose or not Path(record.directory).is_dir():
        record = Record("", directory=str(state.new_directory(service.name, service.run_as())))
    _stop_processes(service, record)
    if not record.ports or not all(is_free(port) for port in record.ports):
        record.ports = [free_port() for _ in range(service.number_of_ports)]
    record.url = service.url(record.ports[0])
    return record
