"""The prompt of `step`: reads commands from a terminal or a pipe, and shows contexts."""

import sys
from bdb import BdbQuit
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from domain.context import TaskContext
from domain.differences import MISSING, Rules, differences
from domain.errors import InvalidRequest, PlayheadError
from domain.pipeline import walk
from interfaces.cli import output
from interfaces.cli.output import tell

if TYPE_CHECKING:
    from application.use_cases.stepping import Step, Stepper

_HELP = """\
n, next            run the next node, or enter one that holds others
b, back            stand before the last node again
p, print [POINTER] show the context here, or the part at a JSON pointer: /data, /outputs/price, /effects/0
d, diff            show what the last node changed
l, list            list the nodes: ✓ ended, → next, • breakpoint
r, run             run to the end, or to the next breakpoint
break [NODE]       stop before this node, or no longer; list the breakpoints
debug              run the next node under pdb, stopped at the first line of your own function
q, quit            end; nothing was stored"""
_LONGEST = 200
"""Characters of a value that are shown on a line."""


class StepPrompt:
    """Carries out commands until `quit`, Ctrl-D or the end of the input."""

    def __init__(self, stepper: "Stepper") -> None:
        self._stepper = stepper
        self._breakpoints: set[str] = set()
        self._misunderstood = False
        self._interactive = sys.stdin.isatty()
        self._commands: Mapping[str, Callable[[str], None]] = {
            "next": self._next,
            "back": self._back,
            "print": self._print,
            "diff": self._diff,
            "list": self._list,
            "run": self._run,
            "break": self._break,
            "debug": self._debug,
            "help": lambda _: tell(_HELP),
        }
        self._short = {name[0]: name for name in ("next", "back", "print", "diff", "list", "run", "help")}

    def run(self) -> int:
        """Read and carry out commands; the exit code says whether the run failed, or a piped command made no sense."""
        self._begin()
        while (line := self._line()) is not None:
            name, _, argument = line.strip().partition(" ")
            name = self._short.get(name, name)
            if name in {"q", "quit"}:
                break
            if name:
                self._carry_out(name, argument.strip())
        if self._stepper.failure is not None:
            return output.SOME_FAILED
        return output.BAD_USAGE if self._misunderstood and not self._interactive else output.DONE

    def _line(self) -> str | None:
        """The next line, None at the end of the input."""
        if not self._interactive:
            line = sys.stdin.readline()
            return line or None
        while True:
            try:
                return input("(step) ")
            except EOFError:
                tell()
                return None
            except KeyboardInterrupt:
                tell("\nq ends")

    def _carry_out(self, name: str, argument: str) -> None:
        command = self._commands.get(name)
        try:
            if command is None:
                raise InvalidRequest(f"There is no command {name!r}. `help` tells those that there are.")
            command(argument)
        except PlayheadError as error:
            self._misunderstood = True
            output.say(error.detail)
        except KeyboardInterrupt:
            if not self._interactive:
                raise
            tell("\ninterrupted")
            self._stand()

    def _begin(self) -> None:
        context, pipeline = self._stepper.context, self._stepper.pipeline
        event = context.event
        schema = pipeline.schemas[event.type]
        version = f"version {schema.version}" if schema.version == event.schema_version else (
            f"version {schema.version}, stored as {event.schema_version}"
        )  # fmt: skip
        tell(f"event {event.id}  {event.type}, through {pipeline.name}")
        tell(f"data as {schema.model.__name__}, {version}: {to_json(context.data, indent=2).decode()}")
        if self._interactive:
            with suppress(ImportError):
                import readline  # noqa: F401  # lines may be edited and called back
            tell("help tells the commands")
        self._stand()

    def _next(self, _: str) -> None:
        if self._stepper.upcoming is None:
            tell("this is the end; b goes back")
            return
        self._went(self._stepper.next())

    def _run(self, _: str) -> None:
        self._went(self._stepper.run(self._breakpoints))

    def _debug(self, _: str) -> None:
        from interfaces.cli.debugger import Debugger

        upcoming = self._stepper.upcoming
        if upcoming is None:
            tell("this is the end; b goes back")
            return
        ended = self._stepper.next(Debugger().run_node)
        if isinstance(self._stepper.failure, BdbQuit):
            self._stepper.back()
            tell(f"left the debugger: {upcoming.node.name} has not ended")
        self._went(ended)

    def _back(self, _: str) -> None:
        if not self._stepper.back():
            tell("this is the beginning")
        self._stand()

    def _went(self, ended: "Sequence[Step]") -> None:
        for step in ended:
            name = f"{'  ' * step.inside}{step.node.name}"
            tell(f"{name}{_made(step)}")
        failure = self._stepper.failure
        if failure is not None:
            from interfaces.cli.debugger import told

            upcoming = self._stepper.upcoming
            tell(f"{upcoming.node.name} failed:" if upcoming else "what the run declares is refused:")
            tell(failure.detail if upcoming is None and isinstance(failure, PlayheadError) else told(failure))
        self._stand()

    def _stand(self) -> None:
        """Say where it stands."""
        upcoming = self._stepper.upcoming
        if upcoming is None:
            tell("the end" if self._stepper.failure is None else "the end: this run would be a dead letter")
        else:
            tell(f"next: {upcoming.node.name}")

    def _print(self, pointer: str) -> None:
        shown = part_at(members_of(self._stepper.context), pointer)
        tell(to_json(shown, indent=2).decode())

    def _diff(self, _: str) -> None:
        taken = self._stepper.taken
        if not taken:
            raise InvalidRequest("No node has run yet.")
        after = taken[-1].after or self._stepper.context
        found = differences(members_of(taken[-1].before), members_of(after), Rules())
        for each in found:
            tell(f"{each.pointer}: {_short(each.old)} → {_short(each.new)}")
        if not found:
            tell(f"{taken[-1].node.name} changed nothing")

    def _list(self, _: str) -> None:
        ended = {step.node.name for step in self._stepper.taken if step.after is not None}
        upcoming = self._stepper.upcoming
        for node, inside in _named(self._stepper.pipeline.nodes):
            here = "→" if upcoming is not None and upcoming.node.name == node else "✓" if node in ended else " "
            stop = "•" if node in self._breakpoints else " "
            tell(f"{here}{stop} {'  ' * inside}{node}")

    def _break(self, name: str) -> None:
        known = [node.name for node in walk(self._stepper.pipeline.nodes)]
        if name and name not in known:
            raise InvalidRequest(f"There is no node {name!r}; there are {', '.join(known)}.")
        if name:
            self._breakpoints ^= {name}
        tell(f"breakpoints: {', '.join(each for each in known if each in self._breakpoints) or 'none'}")


def members_of(context: TaskContext) -> Mapping[str, Any]:
    """A context as it is shown: its JSON members, with the data as today's schema reads it."""
    members: dict[str, Any] = from_json(f"{{{context.result_json}}}")
    return {"data": from_json(to_json(context.data)), **members}


def part_at(value: Any, pointer: str) -> Any:
    """The part of a JSON value at a pointer (RFC 6901); the empty one is the whole.

    Raises:
        InvalidRequest: there is nothing.
    """
    if pointer and not pointer.startswith("/"):
        raise InvalidRequest(f"{pointer!r} is no JSON pointer: it begins with /.")
    for raw in pointer.split("/")[1:]:
        name = raw.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (LookupError, TypeError, ValueError):
            there = ", ".join(map(str, value)) if isinstance(value, Mapping) else f"{type(value).__name__}"
            raise InvalidRequest(f"There is nothing at {pointer}; where {name!r} is sought is: {there}.") from None
    return value


def _made(step: "Step") -> str:
    assert step.after is not None
    made = step.after.outputs.get(step.node.name, MISSING)
    effects = [effect.kind for effect in step.after.effects[len(step.before.effects) :]]
    result = "" if made is MISSING else f"  → {_short(made)}"
    return result + (f"  declares {', '.join(effects)}" if effects else "")


def _named(nodes: Sequence[Any], inside: int = 0) -> list[tuple[str, int]]:
    return [each for node in nodes for each in [(node.name, inside), *_named(getattr(node, "nodes", ()), inside + 1)]]


def _short(value: Any) -> str:
    text = repr(value) if value is MISSING else to_json(value).decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
