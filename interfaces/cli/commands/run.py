"""dev, serve, worker, beat, demo: what runs."""

from typing import Annotated

import typer

from interfaces.cli import server
from interfaces.cli.stores import container_of

app = typer.Typer()
Host = Annotated[str | None, typer.Option(help="The address to listen on.")]
Port = Annotated[int | None, typer.Option(help="The port to listen on; 0 picks a free one.")]


@app.command()
def dev(host: Host = None, port: Port = None) -> None:
    """Run API and engine in one process. Migrates the database first."""
    server.run(container_of(host=host, port=port), migrate=True)


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the API; without a broker the engine too. Refuses a database that needs migrations."""
    server.run(container_of(host=host, port=port), migrate=False)


@app.command()
def worker(
    queues: Annotated[str | None, typer.Option(help="Celery queues to hear, separated by commas; default all.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Processes.")] = None,
) -> None:
    """Run a Celery worker."""
    from infrastructure.workers import run_worker

    run_worker(container_of(worker_concurrency=concurrency), queues=queues)


@app.command()
def beat() -> None:
    """Run the sweep, which rings for due work that nobody claims. Two of them do no harm."""
    from infrastructure.workers import run_beat

    run_beat(container_of())


@app.command()
def demo(
    count: Annotated[int, typer.Option(help="How many of the bundled flights to send.", min=1, max=27_004)] = 5_000,
) -> None:
    """Show real flights going through a service of their own."""
    from interfaces.cli.demo import run_demo

    raise typer.Exit(run_demo(count))
