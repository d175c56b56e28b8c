"""verify: whether the past is what was sealed."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from interfaces.cli import output
from interfaces.cli.stores import opened
from interfaces.cli.times import written

app = typer.Typer()
_NAMES = {"events": "events", "contexts": "task_contexts"}


@app.command()
def verify(
    log: Annotated[str | None, typer.Option(help="Only this log: events or contexts.")] = None,
    since: Annotated[int, typer.Option(help="Begin at the seal that covers this position.", min=1)] = 1,
    anchor: Annotated[str | None, typer.Option(help="The anchor to compare with, instead of SEAL_ANCHOR.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare both logs with their seals, and these with the anchor. 1 where anything was changed."""
    from application.use_cases.sealing import LOGS
    from application.use_cases.verifying import VerifyLogs
    from application.use_cases.verifying import verify as compare
    from domain.errors import InvalidRequest

    if log is not None and log not in _NAMES:
        raise InvalidRequest(f"--log {log}: it is one of {', '.join(_NAMES)}.")
    logs = LOGS if log is None else tuple(each for each in LOGS if each == _NAMES[log])
    with opened(seal_anchor=anchor) as container:
        found = compare(
            VerifyLogs(logs=logs, since=since),
            seals=container.seals(),
            log_ids=container.log_ids(),
            anchor=container.anchor(),
        )
    if as_json:
        output.put_json({"ok": not any(each.findings for each in found), "logs": [asdict(each) for each in found]})
    else:
        for each in found:
            _put(each)
    if any(each.findings for each in found):
        raise typer.Exit(output.SOME_FAILED)


def _put(found: Any) -> None:
    """What was found of one log, for people."""
    output.put(f"{found.log}: {'NOT what was sealed' if found.findings else 'as sealed'}")
    output.put(
        f"  positions {found.since:,} to {found.last_position:,}: "
        f"{found.verified:,} verified, {found.unsealed:,} not sealed yet"
    )
    if found.anchored is None:
        output.put("  no anchor: a tail that was cut with its seals, or a chain made anew, cannot be seen")
    else:
        undone = f"; {found.undone:,} of its lines were undone by a restore" if found.undone else ""
        output.put(f"  the anchor agrees up to position {found.anchored:,}{undone}")
    for restore in found.restores:
        output.put(f"  restored on {written(restore.recorded_at)} to position {restore.position:,}")
    for finding in found.findings:
        more = f" (and {finding.count - 1:,} more)" if finding.count > 1 else ""
        output.put(f"  {finding.kind} at position {finding.position:,}: {finding.detail}{more}")
