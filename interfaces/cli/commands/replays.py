"""replay: stored events through today's pipelines, into a generation of their own."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.comparisons import Html, Ignore, Tolerance, put_comparison, write_page
from interfaces.cli.statuses import Status, checked
from interfaces.cli.stores import opened
from interfaces.cli.times import utc, written

_PATIENCE_SECONDS = 30.0
app = typer.Typer(help="Run stored events again.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[int, typer.Argument(help="The replay's id, which `plan` printed.", min=1, max=2**31 - 1)]


@app.command()
def plan(
    ids: Annotated[list[str] | None, typer.Option("--id", help="An event's id; may be repeated.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Events of this type.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Events that were routed to this pipeline.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Events whose time is not before this one.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Events whose time is before this one.")] = None,
    position: Annotated[str | None, typer.Option(help="A..B, A.. or ..B: these positions, both included.")] = None,
    status: Status = None,
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters: the same as --status failed.")] = False,
    query: Annotated[str | None, typer.Option(help="Events whose result this search finds now.")] = None,
    generation: Annotated[
        int | None, typer.Option(help="Events that an earlier replay, of this id, has a result of.", min=0)
    ] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Events whose result today's code could change.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every event.")] = False,
    as_json: Json = False,
) -> None:
    """Freeze which events are meant, and for which code. Nothing runs yet."""
    from application.use_cases.replay_plans import PlanReplay
    from domain.errors import InvalidRequest
    from infrastructure.settings import typed

    if types and len(types) > 1:
        raise InvalidRequest("--type may be given once; make a plan for each type.")
    if dead and status not in {None, "failed"}:
        raise InvalidRequest(f"--dead means --status failed, not {status}: leave one of them out.")
    first, last = _positions(position)
    command = PlanReplay(
        ids=ids or (),
        type=types[0] if types else None,
        pipeline=pipeline,
        since=utc(since),
        until=utc(until),
        first=first,
        last=last,
        status="failed" if dead else checked(status),
        query=query,
        generation=generation,
        stale=stale,
        everything=everything,
    )
    with opened() as container:
        planned = container.plan_replay()(command, auditor=container.auditor())
    replay = planned.replay
    if as_json:
        output.put_json(
            {
                "id": replay.id,
                "count": replay.count,
                "by_type": planned.by_type,
                "without_pipeline": planned.without_pipeline,
                "fingerprints": replay.fingerprints,
                "first": [event.id for event in planned.first],
                "sampled": planned.sampled,
                "effects": planned.effects,
                "failing": planned.failing,
                "seconds": None if planned.seconds is None else round(planned.seconds, 1),
            }
        )
        return
    output.put_table(("type", "events"), planned.by_type.items(), title=f"replay {replay.id}: {replay.count:,} events")
    output.put_table(
        ("first", "type", "subject", "time"),
        [(event.id, event.type, event.subject, written(event.time)) for event in planned.first],
    )
    output.put_table(("pipeline", "code"), [(name, code[:12]) for name, code in replay.fingerprints.items()])
    _put_sample(planned)
    for name in planned.without_pipeline:
        output.say(f"no pipeline accepts {name!r} today: those events will be dead in this generation")
    output.say(f"run it with: {typed(f'replay run {replay.id}')}")


def _put_sample(planned: Any) -> None:
    if planned.seconds is None:
        output.say("what they would declare and how long it takes is not told: none of the first has succeeded before")
        return
    effects = ", ".join(f"{count:,} {kind}" for kind, count in planned.effects.items()) or "no effects"
    failing = f"; {planned.failing:,} would fail" if planned.failing else ""
    output.say(f"{planned.sampled:,} that have succeeded before would declare {effects}{failing}")
    output.say(f"all of it: about {planned.seconds:,.0f} s in one process, at the rate of these")


@app.command("list")
def list_replays(as_json: Json = False) -> None:
    """List all replays, the newest first, and which of them hold."""
    with opened() as container:
        replays, view = container.replays().list(), container.promotions().current()
    if as_json:
        rows = [{"id": each.id, "count": each.count, "created_at": each.created_at} for each in replays]
        output.put_json({"replays": rows, "view": view.promoted})
        return
    promoted = dict.fromkeys(view.promoted, "promoted")
    output.put_table(
        ("id", "events", "planned", ""),
        [(each.id, each.count, written(each.created_at), promoted.get(each.id, "")) for each in replays],
    )


@app.command()
def promote(replay_id: Id, as_json: Json = False) -> None:
    """Let the results of a replay hold, in the store and in search. Nothing is deleted; `rollback` goes back."""
    from application.use_cases.promoting import promote_replay
    from application.use_cases.replay import get_replay

    with opened() as container:
        replay = get_replay(replay_id, replays=container.replays())
        _catch_up(container)
        with output.progress("contexts read for the index", None) as bar:
            builder = container.index_builder(progress=bar.to)
            view = promote_replay(replay, builder=builder, auditor=container.auditor())
    _put_view(view, f"replay {replay_id} is promoted", as_json=as_json)


@app.command()
def rollback(as_json: Json = False) -> None:
    """Let the results hold that held before the last promotion."""
    from application.use_cases.promoting import roll_back

    with opened() as container:
        _catch_up(container)
        with output.progress("contexts read for the index", None) as bar:
            view = roll_back(builder=container.index_builder(progress=bar.to), auditor=container.auditor())
    _put_view(view, f"replay {view.generation} is no longer promoted", as_json=as_json)


def _catch_up(container: Any) -> None:
    """Let the index show what there is, also where no service runs."""
    from application.use_cases.results import catch_up

    container.claims().register(container.subscriptions().values())
    catch_up(container.engine(), claims=container.claims(), seconds=_PATIENCE_SECONDS)


def _put_view(view: Any, said: str, *, as_json: bool) -> None:
    if as_json:
        output.put_json({"view": view.promoted, "action": view.action, "generation": view.generation, "at": view.at})
        return
    held = " over ".join(f"replay {id_}" for id_ in view.promoted)
    output.say(f"{said}; results are those of {held + ' over ' if held else ''}the live runs")


@app.command()
def diff(
    replay_id: Annotated[int | None, typer.Argument(help="The replay's id.", min=1, max=2**31 - 1)] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="A folder with code: events run through it in memory, and nothing is appended."),
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="With --against: events of this type.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="With --against: events routed to this pipeline.")] = None,
    since: Annotated[datetime | None, typer.Option(help="With --against: events whose time is not before.")] = None,
    until: Annotated[datetime | None, typer.Option(help="With --against: events whose time is before.")] = None,
    tolerance: Tolerance = 0.0,
    ignore: Ignore = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Tell what differs between a replay, or what other code makes, and the results. 0: nothing, 1: something."""
    from domain.differences import Rules
    from domain.errors import InvalidRequest

    filters = {"type": type_, "route": pipeline}
    where = {name: value for name, value in filters.items() if value is not None}
    narrowed = bool(where or since or until)
    if replay_id is None and against is None:
        raise InvalidRequest("Name a replay by its id, or code by --against FOLDER.")
    if narrowed and (against is None or replay_id is not None):
        raise InvalidRequest("--type, --pipeline, --since and --until choose events for --against, without a replay.")
    rules = Rules(tolerance=tolerance, ignored=tuple(ignore or ()))
    if against is not None:
        selection = {"where": where, "since": utc(since), "until": utc(until)}
        _diff_against(against, replay_id, selection, rules, html=html, as_json=as_json)
    elif replay_id is not None:
        _diff_of_replay(replay_id, rules, html=html, as_json=as_json)


def _diff_of_replay(replay_id: int, rules: Any, *, html: Path | None, as_json: bool) -> None:
    from application.use_cases.replay import get_replay

    with opened() as container:
        replay = get_replay(replay_id, replays=container.replays())
        found = container.compare_replay()(replay, rules)
    if html is not None:
        write_page(
            html,
            found,
            title=f"Replay {replay.id} beside the results without it",
            told=f"{found.compared:,} of {replay.count:,} planned events compared · planned "
            f"{replay.created_at:%Y-%m-%d %H:%M} UTC",
            code="the replay's code",
            fingerprints={name: [known] for name, known in replay.fingerprints.items()},
        )
    if as_json:
        output.put_json({"id": replay.id, "count": replay.count, **asdict(found)})
    else:
        put_comparison(f"replay {replay.id}: {found.compared:,} of {replay.count:,} events compared", found)
        if not found.noise_sought:
            output.say("noise was not sought: the code here is not the replay's")
    if not found.same:
        raise typer.Exit(output.SOME_FAILED)


def _diff_against(
    folder: Path, replay_id: int | None, filters: Any, rules: Any, *, html: Path | None, as_json: bool
) -> None:
    from application.subscription import Selection
    from application.use_cases.replay import get_replay
    from interfaces.cli.code import require_code_of, use_code_of

    use_code_of(folder)
    with opened() as container:
        fingerprints = container.fingerprints()
        require_code_of(folder)
        if replay_id is None:
            selection = Selection(**filters, last=container.events().head())
        else:
            selection = get_replay(replay_id, replays=container.replays()).selection
        total = sum(container.events().count(selection).values())
        with output.progress("run", total) as bar:
            found = container.compare_held()(selection, rules, progress=bar.to)
    if html is not None:
        write_page(
            html,
            found,
            title=f"The code of {folder} beside the results",
            told=f"{found.compared:,} of {total:,} events have a result and were compared; nothing was appended",
            code=f"the code of {folder}",
            fingerprints={name: [known] for name, known in fingerprints.items()},
        )
    if as_json:
        output.put_json({"against": str(folder), "count": total, **asdict(found)})
    else:
        put_comparison(f"{folder}: {found.compared:,} of {total:,} events have a result and were compared", found)
    if not found.same:
        raise typer.Exit(output.SOME_FAILED)


@app.command()
def stale(
    explain: Annotated[bool, typer.Option("--explain", help="Name what has changed, and some of the events.")] = False,
    as_json: Json = False,
) -> None:
    """List the results that today's code could change, by cause. Exit code 0: none, 1: some."""
    from infrastructure.settings import typed

    with opened() as container:
        found = container.find_stale()()
    if as_json:
        output.put_json(asdict(found))
    else:
        title = f"{found.stale:,} of {found.results:,} results could be changed by the code here"
        rows = [(one.pipeline, one.results, ", ".join(one.causes)) for one in found.classes]
        output.put_table(("pipeline", "results", "cause"), rows, title=title)
        for one in found.classes if explain else ():
            output.put(f"{one.pipeline}, {', '.join(one.causes)}: {one.results:,} results")
            for line in (*one.changed, f"for example {', '.join(one.examples)}"):
                output.put(f"  {line}")
        if found.stale:
            output.say(f"select them with: {typed('replay plan --stale')}")
        for constant in found.unseen if explain else ():
            output.say(f"of {constant} only the statement that makes it is seen")
        output.say(f"seen is the code of {', '.join(found.packages) or 'no package'}; libraries are not seen")
    if found.stale:
        raise typer.Exit(output.SOME_FAILED)


def _positions(text: str | None) -> tuple[int | None, int | None]:
    from domain.errors import InvalidRequest

    if text is None:
        return None, None
    first, separator, last = text.partition("..")
    if not separator or not all(part.isdigit() or not part for part in (first, last)) or text == "..":
        raise InvalidRequest(f"--position {text!r}: write A..B, A.. or ..B.")
    bounds = int(first) if first else None, int(last) if last else None
    if any(bound is not None and bound >= 2**63 for bound in bounds):
        raise InvalidRequest(f"--position {text}: no position is so large.")
    if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
        raise InvalidRequest(f"--position {text}: the first is behind the last.")
    return bounds
