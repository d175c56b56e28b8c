"""effects: the calls that contexts declare, and what became of them."""

from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened
from interfaces.cli.times import written

app = typer.Typer(help="Look after calls on the world outside.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The effect's id, as `effects list` and `events show` print it.")]


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help="pending, failed, unknown, done or dead.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """List effects, those of the newest events first."""
    from typing import get_args

    from application.effect_history import EffectStatus
    from application.use_cases.effect_states import list_effects
    from domain.errors import InvalidRequest

    if status is not None and status not in get_args(EffectStatus):
        raise InvalidRequest(f"--status {status}: it is one of {', '.join(get_args(EffectStatus))}.")
    with opened() as container:
        listed = list_effects(status, limit=limit, **_ports(container))  # type: ignore[arg-type]  # checked above
    if as_json:
        output.put_json(listed)
        return
    if not listed:
        output.say("no effect fits")
        return
    output.put_whole_columns(
        [
            {
                "id": each.effect_id,
                "status": each.status,
                "attempts": str(each.attempts),
                "kind": each.kind,
                "target": each.target,
                "due": written(each.due_at) if each.due_at else "",
                "said": said(each.detail),
            }
            for each in listed
        ]
    )


@app.command()
def show(effect_id: Id, as_json: Json = False) -> None:
    """Tell what was tried of an effect, step by step."""
    from application.use_cases.effect_states import get_effect

    with opened() as container:
        life = get_effect(effect_id, **_ports(container))
    if as_json:
        output.put_json(life)
        return
    output.put(state_line(life.state))
    rows = [(step.attempt, step.phase, written(step.recorded_at), said(step.detail)) for step in life.steps]
    output.put_table(("attempt", "step", "time", "said"), rows)


@app.command()
def retry(effect_id: Id, as_json: Json = False) -> None:
    """Make an effect that is dead, unknown or failed due now. One that is pending or done stays as it is."""
    from application.use_cases.effect_states import retry_effect

    with opened() as container:
        done = retry_effect(
            effect_id, dispatcher=container.dispatcher(), auditor=container.auditor(), **_ports(container)
        )
    if as_json:
        output.put_json(done)
        return
    output.say("it is due now" if done.changed else f"it is {done.state.status}: nothing was changed")


@app.command()
def enable(url: Annotated[str, typer.Argument(help="The URL that answered 410.")]) -> None:
    """Let calls to a URL that answered 410 (gone) be sent again; those that are dead wait for `effects retry`."""
    from application.use_cases.effect_states import enable_endpoint

    with opened() as container:
        changed = enable_endpoint(url, ledger=container.ledger(), auditor=container.auditor())
    output.say(f"calls to {url} are sent again" if changed else f"calls to {url} are sent already")


def state_line(state: Any) -> str:
    """An effect for people, on a line."""
    due = f", due {written(state.due_at)}" if state.due_at else ""
    attempts = f" after {state.attempts} attempts" if state.attempts > 1 else ""
    return f"effect {state.effect_id}  {state.kind} {state.target}  {state.status}{attempts}{due}"


def said(detail: Any) -> str:
    """What a step says, in a few words."""
    parts = [detail.get("error"), detail.get("answer_refused"), None if "error" in detail else detail.get("status")]
    return "; ".join(str(part) for part in parts if part)


def _ports(container: Any) -> dict[str, Any]:
    return {"ledger": container.ledger(), "contexts": container.contexts(), "claims": container.claims()}
