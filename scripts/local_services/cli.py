"""The verbs of `scripts/services`. On stdout stand `export` lines for eval, and nothing else."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence

from local_services import lifecycle
from local_services.elasticsearch import Elasticsearch
from local_services.lifecycle import Outcome, say
from local_services.postgres import Postgres
from local_services.processes import ServiceError, interrupted
from local_services.rabbitmq import RabbitMQ
from local_services.redis import Redis
from local_services.service import Service

SERVICES: tuple[Service, ...] = (Postgres(), Redis(), RabbitMQ(), Elasticsearch())

USAGE = """
  eval "$(scripts/services start)"      start all that is lacking, and name it to this shell
  scripts/services start redis          only this one
  scripts/services run -- COMMAND       start, run the command with the addresses, stop what was started
  scripts/services env | status         what runs now
  scripts/services stop                 stop what was started here, and remove its data
  scripts/services install              only install what this machine lacks

A service whose address the environment names (%s) is used as it is.
Others run in containers where docker compose has an engine, else from this machine's packages.
"""


def main() -> int:
    """Run one verb; 0 when all that was asked for is there, 1 when something is not, 2 for a wrong call."""
    arguments = _arguments()
    services = [service for service in SERVICES if not arguments.names or service.name in arguments.names]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        match arguments.verb:
            case "start":
                return _start(services, may_install=not arguments.no_install)
            case "run":
                return _run(services, arguments)
            case "stop":
                stopped = lifecycle.bring_down(services)
                say(f"stopped {', '.join(stopped)}" if stopped else "nothing to stop")
                return 0
            case "install":
                return _install(services)
            case "status":
                return _status(services)
            case _:
                _print_exports(map(lifecycle.find, services))
                return 0
    except ServiceError as error:
        say(str(error))
        return 1


def _arguments() -> argparse.Namespace:
    variables = ", ".join(service.variable for service in SERVICES)
    parser = argparse.ArgumentParser(
        prog="scripts/services",
        description="Start the servers that the tests use.",
        epilog=USAGE % variables,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=["start", "run", "stop", "status", "env", "install"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(service.name for service in SERVICES))
    parser.add_argument("--no-install", action="store_true", help="install and download nothing")
    parser.add_argument("--require", action="store_true", help="run: do not run where a service is lacking")
    given, dashes, command = sys.argv[1:], [], []
    if "--" in given:
        cut = given.index("--")
        given, dashes, command = given[:cut], given[cut : cut + 1], given[cut + 1 :]
    arguments = parser.parse_intermixed_args(given)
    arguments.command = command
    unknown = set(arguments.names) - {service.name for service in SERVICES}
    if unknown:
        parser.error(f"no service {', '.join(sorted(unknown))}")
    if (arguments.verb == "run") != bool(dashes and command):
        parser.error("'run' needs '-- COMMAND', and nothing else takes one")
    return arguments


def _start(services: Sequence[Service], *, may_install: bool) -> int:
    outcomes = lifecycle.bring_up(services, may_install=may_install)
    if interrupted.is_set():
        _stop_what_was_begun(outcomes)
        return 130
    _print_exports(outcomes)
    return 0 if all(outcome.url for outcome in outcomes) else 1


def _run(services: Sequence[Service], arguments: argparse.Namespace) -> int:
    outcomes = lifecycle.bring_up(services, may_install=not arguments.no_install)
    missing = [outcome for outcome in outcomes if not outcome.url]
    try:
        if interrupted.is_set():
            return 130
        if missing and arguments.require:
            return 1
        return _run_command(arguments.command, outcomes)
    finally:
        _stop_what_was_begun(outcomes)
        for outcome in [] if interrupted.is_set() else missing:
            ran = "the command was not run" if arguments.require else "its tests were skipped"
            say(f"without {outcome.service.name} ({ran}): {outcome.problem}")


def _run_command(command: Sequence[str], outcomes: Iterable[Outcome]) -> int:
    addresses = {outcome.service.variable: outcome.url for outcome in outcomes if outcome.url}
    child = subprocess.Popen(command, env={**os.environ, **addresses})
    # A Ctrl-C reaches the command from the terminal itself; it ends in its own way, and is waited for.
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    status = child.wait()
    return status if status >= 0 else 128 - status


def _stop_what_was_begun(outcomes: Iterable[Outcome]) -> None:
    """Stop what this command started; a start that was interrupted leaves nothing, not even a log."""
    begun = [one.service for one in outcomes if one.started_now or (interrupted.is_set() and not one.url)]
    if begun:
        lifecycle.bring_down(begun)


def _install(services: Sequence[Service]) -> int:
    problems = lifecycle.install(services, may_install=True)
    for name, problem in problems.items():
        say(f"{name} {problem}")
    for service in services:
        if service.name not in problems and not service.is_fetched():
            service.fetch()
    return 1 if problems else 0


def _status(services: Sequence[Service]) -> int:
    outcomes = [lifecycle.find(service) for service in services]
    for outcome in outcomes:
        print(f"{outcome.service.name:<13}  {outcome.how or outcome.problem}{'  ' if outcome.url else ''}{outcome.url}")
    return 0 if all(outcome.url for outcome in outcomes) else 1


def _print_exports(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.url:
            print(f"export {outcome.service.variable}={shlex.quote(outcome.url)}")
