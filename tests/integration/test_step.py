"""`playhead step`: by a pipe in this process, and on a real terminal in one of its own."""

import fcntl
import io
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli import Cli, Ended, command_line
from tests.factories import NewEventFactory
from tests.integration.http import ROOT
from tests.stores import opened

STEPS = """
from time import sleep
from pydantic import BaseModel
from playhead import Branches, Pipeline, Route, Schema, node

class Order(BaseModel):
    number: int
    token: str = ""
    currency: str

@node
def price(context):
    amount = context.data.number
    return 100 // amount

@node
def nap(context):
    if context.data.number == 7:
        sleep(60)
    return "rested"

def size(context):
    return "big" if context.outputs["price"] > 10 else "small"

@node
def weigh(context):
    return context.outputs["price"] + 1

def in_euro(data):
    return {**data, "currency": "EUR"}

PIPELINES = (
    Pipeline(
        "orders",
        {"order.placed": Schema(Order, version=2, upcasters={1: in_euro})},
        (price, nap, Route("size", size, {"big": (weigh,), "small": ()})),
    ),
)
"""
PRICE_LINE = 1 + STEPS.splitlines().index("    amount = context.data.number")
SIZE_LINE = 1 + STEPS.splitlines().index('    return "big" if context.outputs["price"] > 10 else "small"')


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str
) -> Iterator[Cli]:
    with command_line(capsys, monkeypatch, tmp_path) as found:
        found.module("step_pipelines", STEPS)
        yield found


@pytest.fixture
def place(sqlite_url: str):
    """Stores an order with a number; its id."""

    def placed(number: int, **members: str) -> str:
        data = "".join(f', "{name}": "{value}"' for name, value in members.items())
        event = NewEventFactory(data=f'{{"number": {number}{data}}}', schema_version=1)
        with opened(sqlite_url) as store:
            store.events.append([event])
        event_id: str = event.id
        return event_id

    return placed


def step(cli: Cli, event_id: str, *lines: str) -> Ended:
    """What the commands of a pipe do."""
    cli.monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return cli("step", event_id)


def test_a_pipe_steps_forward_and_back_with_the_context_before_and_after(cli: Cli, place):
    ended = step(cli, place(4), "p /data", "n", "d", "p /outputs", "b", "p /outputs", "next", "r", "b", "b", "l", "q")

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert "data as Order, version 2, stored as 1: {" in lines
    assert '  "currency": "EUR"' in lines
    assert lines.count("price  → 25") == 2
    assert "/outputs/price: nothing → 25" in lines
    assert [line for line in lines if line in {"{", "{}"}] == ["{", "{", "{}"]
    assert lines[lines.index("  weigh  → 26") + 1] == 'size  → "big"'
    assert lines.index("elasticsearch_index  declares index_document") < lines.index("the end")
    assert lines[-5:] == ["✓  price", "✓  nap", "   size", "→    weigh", "   elasticsearch_index"]


def test_a_run_stops_at_a_breakpoint(cli: Cli, place):
    ended = step(cli, place(4), "break weigh", "r", "l", "break weigh", "r")

    lines = ended.out.splitlines()
    assert "breakpoints: weigh" in lines
    assert "→•   weigh" in lines
    assert "breakpoints: none" in lines
    assert (lines[-1], ended.code) == ("the end", 0)


def test_a_node_that_raises_shows_the_users_lines_alone_and_ends_with_1(cli: Cli, place):
    cli.monkeypatch.setattr(sys, "stdin", io.StringIO("n\np /data/number\nb\nn\n"))
    cli.monkeypatch.setattr(sys, "argv", ["playhead", "step", place(0)])
    from interfaces.cli.main import main

    with pytest.raises(SystemExit) as end:
        main()
    out, err = cli.capsys.readouterr()

    assert (end.value.code, err) == (1, "")
    assert out.count("ZeroDivisionError: integer division or modulo by zero") == 2
    assert f'step_pipelines.py", line {PRICE_LINE + 1}, in price' in out
    assert "domain/pipeline.py" not in out
    assert "stepping.py" not in out


def test_a_command_that_cannot_be_understood_is_told_and_ends_with_2(cli: Cli, place):
    event_id = place(4)
    for line in ("jump", "break nowhere", "p /outputs/none", "p data", "d"):
        ended = step(cli, event_id, line)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1), line
    assert step(cli, event_id).code == 0
    assert "run the next node under pdb" in step(cli, event_id, "help").out


def test_what_cannot_be_stepped_through_ends_as_other_commands_do(cli: Cli, place):
    assert cli("step", "nope").code == 3
    assert cli("step", place(4), "--pipeline", "nobody").code == 3
    assert step(cli, place(4), "q").code == 0


def test_secrets_in_contexts_are_covered(cli: Cli, place):
    cli.set(WEBHOOK_SECRET="whsec_" + "c2VjcmV0" * 4)
    ended = step(cli, place(4, token="whsec_" + "c2VjcmV0" * 4), "p")

    assert "c2VjcmV0" not in ended.out


class Terminal:
    """A process on a terminal of its own: what it wrote, and hands to type."""

    def __init__(self, cli: Cli, *arguments: str) -> None:
        self._near, far = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "interfaces.cli.main", *arguments],
            stdin=far, stdout=far, stderr=far, cwd=cli.home, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that Ctrl-C is a signal
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{cli.home}", "HOME": str(cli.home), "TERM": "dumb"},
        )  # fmt: skip
        os.close(far)
        self.seen, self._looked = "", 0

    def until(self, text: str, *, pressing: str = "") -> str:
        """What comes up to a text, from where the last look ended; a key is pressed each second until it comes."""
        end, press_at = time.monotonic() + 30, 0.0
        while (found := self.seen.find(text, self._looked)) < 0:
            assert time.monotonic() < end, f"{text!r} did not come, but {self.seen[self._looked :]!r}"
            if pressing and time.monotonic() > press_at:
                self.type(pressing)
                press_at = time.monotonic() + 1.0
            self._read()
        came, self._looked = self.seen[self._looked : found], found + len(text)
        return came

    def type(self, text: str) -> None:
        os.write(self._near, text.encode())

    def end(self) -> int:
        """The exit code, once it has ended."""
        end = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < end:
            self._read()
        return self.process.wait(5)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._near)

    def _read(self) -> None:
        if select.select([self._near], [], [], 0.2)[0]:
            with suppress(OSError):  # the other end is closed
                came = os.read(self._near, 65_536).decode().replace("\r", "")
                self.seen += re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", came)


@pytest.fixture
def terminal(cli: Cli):
    """Opens terminals; they are closed at the end."""
    made: list[Terminal] = []

    def open_(*arguments: str) -> Terminal:
        made.append(Terminal(cli, *arguments))
        return made[-1]

    yield open_
    for each in made:
        each.close()


PROMPT, PDB = "(step) ", "(Pdb) "


def test_a_terminal_has_a_prompt_and_ctrl_d_ends(terminal, place):
    found = terminal("step", place(4))
    found.until(PROMPT)
    found.type("n\n")
    assert "price  → 25" in found.until("next: nap")
    found.until(PROMPT)
    found.type("jump\n")
    found.until("There is no command 'jump'")
    found.until(PROMPT)
    found.type("\x04")

    assert found.end() == 0


def test_ctrl_c_at_the_prompt_ends_nothing(terminal, place):
    found = terminal("step", place(4))
    found.until(PROMPT)
    found.type("half a line")
    # Ctrl-C takes keys that wait out of the terminal, and readline, told of them, waits on for others, deaf to signals.
    found.until("half a line")
    # Python hears a signal that comes just before its prompt waits for keys only with the next one.
    found.until("q ends", pressing="\x03")
    found.until(PROMPT)
    found.type("n\n")
    found.until("price  → 25")
    found.until(PROMPT)
    found.type("q\n")

    assert found.end() == 0


def test_ctrl_c_interrupts_a_node_which_is_next_still(terminal, place):
    found = terminal("step", place(7))
    found.until(PROMPT)
    found.type("n\n")
    found.until("next: nap")
    found.until(PROMPT)
    found.type("n\n")
    time.sleep(1)  # it is in the node's sleep
    found.type("\x03")
    found.until("interrupted")
    found.until("next: nap")
    found.until(PROMPT)
    found.type("b\n")
    found.until("next: price")
    found.until(PROMPT)
    found.type("\x04")

    assert found.end() == 0


def test_debug_stops_at_the_first_line_of_the_users_own_function(terminal, place):
    found = terminal("step", place(4))
    found.until(PROMPT)
    found.type("debug\n")
    assert f"step_pipelines.py({PRICE_LINE})price()" in found.until(PDB)
    found.type("n\n")
    found.until(PDB)
    found.type("p amount + 38\n")
    found.until("42")
    found.until(PDB)
    found.until("KeyboardInterrupt", pressing="\x03")
    found.until(PDB)
    found.type("c\n")
    assert "price  → 25" in found.until("next: nap")
    found.until(PROMPT)
    found.type("n\n")
    found.until("next: size")
    found.until(PROMPT)
    found.type("debug\n")
    assert f"step_pipelines.py({SIZE_LINE})size()" in found.until(PDB)
    found.type("c\n")
    found.until("next: weigh")
    found.until(PROMPT)
    found.type("q\n")

    assert found.end() == 0


def test_leaving_the_debugger_leaves_the_node_undone(terminal, place):
    found = terminal("step", place(4))
    for leave in ("q\n", "\x04"):
        found.until(PROMPT)
        found.type("debug\n")
        found.until(PDB)
        found.type(leave)
        found.until("left the debugger: price has not ended")
        found.until("next: price")
    found.until(PROMPT)
    found.type("r\n")
    found.until("the end")
    found.until(PROMPT)
    found.type("q\n")

    assert found.end() == 0


def test_debug_from_a_pipe_reads_the_debuggers_commands_from_it(cli: Cli, place):
    event_id = place(4)
    typed = "debug\np 40 + 2\nc\nr\n"
    ended = subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", "step", event_id], check=False, capture_output=True, text=True,
        input=typed, cwd=cli.home, env={**os.environ, "PYTHONPATH": f"{ROOT}:{cli.home}", "HOME": str(cli.home)},
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"({PRICE_LINE})price()" in ended.stdout
    assert "(Pdb) 42\n" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "the end"
