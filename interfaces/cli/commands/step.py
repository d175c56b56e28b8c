"""step: one event through the nodes of its pipeline, forward and back."""

from typing import Annotated

import typer

from interfaces.cli.stores import opened

app = typer.Typer()


@app.command()
def step(
    event: Annotated[str, typer.Argument(help="The event's id.")],
    pipeline: Annotated[str | None, typer.Option(help="Another pipeline that accepts the event's type.")] = None,
) -> None:
    """Step through an event's run with the code that is loaded here. Nothing is stored.

    Reads commands from standard input; `help` tells them.
    """
    from application.use_cases.stepping import StepThrough, step_through
    from interfaces.cli.step_prompt import StepPrompt

    with opened() as container:
        stepper = step_through(
            StepThrough(event_id=event, pipeline=pipeline),
            events=container.events(),
            registry=container.registry(),
            unknown_types=container.settings().unknown_types,
        )
    raise typer.Exit(StepPrompt(stepper).run())
