"""replay run, pause, resume, abort, status: a planned replay is worked, here or by child processes."""

import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from interfaces.cli import output
from interfaces.cli.replay_work import (
    Stop,
    Teller,
    child_command,
    let_work,
    stop_at_the_end_of_input,
    stop_on_signals,
    tell,
    work_here,
)
from interfaces.cli.stores import opened

if TYPE_CHECKING:
    from infrastructure.container import Container

app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[int, typer.Argument(help="The replay's id, which `plan` printed.", min=1, max=2**31 - 1)]
Effects = Annotated[
    str | None, typer.Option(help="What becomes of declared effects: skip, recorded or live; at first skip.")
]
MaxFailures = Annotated[
    str | None, typer.Option(metavar="N|N%", help="End once more events, or a larger share of them, ended dead.")
]
YieldAbove = Annotated[int, typer.Option(help="Wait while more live events than this wait and are worked.", min=0)]


@app.command()
def run(
    replay_id: Id,
    effects: Effects = None,
    ramp: Annotated[
        str | None, typer.Option(metavar="N,N,…", help="Stop when so many events are done; again goes on to the next.")
    ] = None,
    rate: Annotated[str | None, typer.Option(metavar="N/s", help="At most so many events a second, or N/min.")] = None,
    workers: Annotated[int, typer.Option(help="Processes.", min=1, max=64)] = 1,
    max_failures: MaxFailures = None,
    yield_above: YieldAbove = 1_000,
    yes: Annotated[bool, typer.Option("--yes", help="With --effects live: do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Work a replay with the code at hand; run again, it goes on where it stopped."""
    from application.use_cases.replay_run import MaxFailures as Limit
    from application.use_cases.replaying import RunReplay
    from infrastructure.settings import typed

    limit = None if max_failures is None else Limit.of(max_failures)
    speed = None if rate is None else _rate(rate)
    command = RunReplay(replay_id=replay_id, effects=_effects(effects), ramp=_ramp(ramp))
    with opened() as container:
        if effects == "live":
            _confirm_live(container, replay_id, yes=yes)
        begun = container.begin_replay()(command, auditor=container.auditor())
        teller = Teller(replay_id)
        with stop_on_signals() as stop:
            if workers == 1:
                end = work_here(container, begun, stop, teller, rate=speed, max_failures=limit, yield_above=yield_above)
            else:
                command_of_each = child_command(begun, speed and speed / workers, max_failures, yield_above)
                end = let_work(container, begun, stop, teller, size=workers, command=command_of_each)
        if end == "stopped":
            output.fail(f"stopped; go on with: {typed(_again())}", output.INTERRUPTED)
        step = begun.step if end == "done" else None
        _put_status(container, begun.replay, as_json=as_json, end="step" if step else end, step=step and step.events)
        if step is not None:
            look, again = typed(f"replay diff {replay_id}"), typed(_again())
            output.say(f"the step of {step.events:,} events is reached; what differs: {look}; go on with: {again}")
        if end == "aborted":
            output.fail(f"replay {replay_id} was aborted; what it has made stays", output.SOME_FAILED)
        if end == "failures":
            _fail_for_failures(container, replay_id, str(limit), workers=workers)


@app.command(hidden=True)
def work(
    replay_id: Id,
    effects: Effects = "skip",
    last: Annotated[int | None, typer.Option(help="Go no further than this position.")] = None,
    rate: Annotated[float | None, typer.Option(help="Events a second.")] = None,
    max_failures: MaxFailures = None,
    yield_above: YieldAbove = 1_000,
) -> None:
    """Work a replay that was begun as one of several processes, which `replay run --workers` starts and listens to."""
    from application.use_cases.replay import get_replay, require_same_code
    from application.use_cases.replay_run import PATIENCE_SECONDS, run_replay
    from application.use_cases.replay_run import MaxFailures as Limit
    from domain.errors import PlayheadError

    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())
    threading.Thread(target=stop_at_the_end_of_input, args=(stop,), name="parent", daemon=True).start()
    try:
        with opened() as container:
            replay = get_replay(replay_id, replays=container.replays())
            require_same_code(
                replay, events=container.events(), registry=container.registry(), fingerprints=container.fingerprints()
            )
            here = container.replay_run(
                replay,
                effects=_effects(effects),
                last=last,
                rate=rate,
                max_failures=None if max_failures is None else Limit.of(max_failures),
                yield_above=yield_above,
            )
            stop.then(here.engine.stop)
            tell(begun=True)
            end = run_replay(here, told=lambda what, detail: tell(told=[what, detail]), patience=PATIENCE_SECONDS)
    except PlayheadError as error:
        tell(refused=error.detail, code=error.code)
        raise typer.Exit(output.exit_code_of(error)) from None
    tell(end=end)


@app.command()
def pause(replay_id: Id) -> None:
    """Let the processes that run a replay end their claims and wait, until it is resumed."""
    from application.use_cases.replaying import pause_replay
    from infrastructure.settings import typed

    with opened() as container:
        pause_replay(replay_id, **_ports(container))
    output.say(f"replay {replay_id} is paused; go on with: {typed(f'replay resume {replay_id}')}")


@app.command()
def resume(replay_id: Id) -> None:
    """Let a paused replay go on."""
    from application.use_cases.replaying import resume_replay
    from infrastructure.settings import typed

    with opened() as container:
        resume_replay(replay_id, **_ports(container))
    again = typed(f"replay run {replay_id}")
    output.say(f"replay {replay_id} is resumed; where no process waits for that, go on with: {again}")


@app.command()
def abort(replay_id: Id) -> None:
    """End a replay for good. What it has made stays; it cannot be run again."""
    from application.use_cases.replaying import abort_replay

    with opened() as container:
        abort_replay(replay_id, **_ports(container))
    output.say(f"replay {replay_id} is aborted; what it has made stays")


@app.command()
def status(
    replay_id: Id,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    as_json: Json = False,
) -> None:
    """Tell how far a replay is, and what differs from the live results."""
    from application.use_cases.replay import get_replay

    with opened() as container:
        replay = get_replay(replay_id, replays=container.replays())
        if watch:
            _watch(container, replay)
        _put_status(container, replay, as_json=as_json)


def _watch(container: "Container", replay: Any) -> None:
    from interfaces.cli.replay_progress import Watched

    watched = Watched(container, replay, total=replay.count)
    live = sys.stderr.isatty()
    try:
        with output.progress(f"replay {replay.id}", replay.count) as bar:
            while True:
                found, words = watched.look()
                bar.to(found.ended, replay.count, f"{found.state}, {words}")
                if not live:
                    output.say(f"replay {replay.id}: {found.state}, {found.ended:,} of {replay.count:,}, {words}")
                if found.state in {"done", "aborted"}:
                    return
                time.sleep(1.0)
    except KeyboardInterrupt:
        return


def _confirm_live(container: "Container", replay_id: int, *, yes: bool) -> None:
    """Ask whether effects shall be carried out again, unless that was said before."""
    from application.use_cases.replay import get_replay
    from domain.errors import InvalidRequest

    replay = get_replay(replay_id, replays=container.replays())
    if yes or "effects" in container.replays().decided(replay_id):
        return
    expected = container.expected_effects()(replay)
    about = ", ".join(f"about {count:,} {kind}" for kind, count in (expected or {}).items()) or "an unknown number"
    about = "none" if expected == {} else about
    question = f"{replay.count:,} events would declare, and --effects live would carry out: {about}."
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{question} Say --yes where that is meant.")
    typer.confirm(f"{question} Go on?", abort=True, err=True)


def _put_status(
    container: "Container", replay: Any, *, as_json: bool, end: str | None = None, step: int | None = None
) -> None:
    from application.use_cases.replay import replay_status
    from application.use_cases.replaying import replay_progress

    ports = {"claims": container.claims(), "contexts": container.contexts()}
    found = replay_status(replay, promotions=container.promotions(), **ports)
    progress = replay_progress(replay, events=container.events(), replays=container.replays(), **ports)
    contexts: list[dict[str, Any]] = [
        {"pipeline": row[0], "status": row[1], "contexts": row[2]} for row in found.contexts
    ]
    counts = {"identical": found.identical, "different": found.different, "without_live": found.without_live}
    if as_json:
        run = {} if end is None else {"end": end, "step": step}
        failures = [{"failure": kind, "count": count} for kind, count in progress.failures]
        output.put_json(
            {
                "id": replay.id,
                "done": found.done,
                "state": progress.state,
                "count": replay.count,
                "ended": progress.ended,
                "dead": progress.dead,
                "failures": failures,
                "effects": progress.effects,
                "waiting": progress.waiting,
                "contexts": contexts,
                **counts,
                **run,
            }
        )
        return
    title = f"replay {replay.id}: {progress.state}, {progress.ended:,} of {replay.count:,} events done"
    output.put_table(("pipeline", "status", "contexts"), [tuple(row.values()) for row in contexts], title=title)
    output.put_table(("identical", "different", "without live result"), [tuple(counts.values())])
    if progress.dead:
        most, count = progress.failures[0]
        output.say(
            f"{progress.dead:,} ended dead in this generation, with no result to compare; most: {most} ({count:,})"
        )
    if progress.waiting:
        output.say(f"effects of {progress.waiting:,} contexts wait to be carried out or tried again: run it again then")


def _fail_for_failures(container: "Container", replay_id: int, limit: str, *, workers: int) -> NoReturn:
    found = container.contexts().failures(replay_id)
    dead, (most, count) = sum(each for _, each in found), found[0]
    output.fail(
        f"ended: {dead:,} events ended dead, and --max-failures is {limit}; most of them ({count:,}): "
        f"{most or 'unknown'}. Each process ({workers}) ends the claim that it is at, hence more than that",
        output.SOME_FAILED,
    )


def _ports(container: "Container") -> dict[str, Any]:
    return {
        "replays": container.replays(),
        "claims": container.claims(),
        "controls": container.controls(),
        "auditor": container.auditor(),
    }


def _again() -> str:
    """The arguments of this command, to be typed once more."""
    import shlex

    return shlex.join(sys.argv[1:])


def _effects(text: str | None) -> Any:
    from typing import get_args

    from application.use_cases.replaying import Effects as Known
    from domain.errors import InvalidRequest

    if text is not None and text not in get_args(Known):
        raise InvalidRequest(f"--effects {text}: it is one of {', '.join(get_args(Known))}.")
    return text


def _ramp(text: str | None) -> list[int]:
    from domain.errors import InvalidRequest

    parts = [] if text is None else [part.strip() for part in text.split(",")]
    steps = [int(part) if part.isdecimal() else 0 for part in parts]
    if any(step < 1 for step in steps) or steps != sorted(set(steps)):
        raise InvalidRequest(f"--ramp {text!r}: write numbers of events, each larger than the one before: 100,1000.")
    return steps


def _rate(text: str) -> float:
    """Events a second."""
    from domain.errors import InvalidRequest

    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/(s|min))?", text)
    number = float(found[1]) if found else 0.0
    if found is None or not number:
        raise InvalidRequest(f"--rate {text!r}: write a number of events a second, as 50/s, or a minute, as 100/min.")
    return number / 60 if found[2] == "min" else number
