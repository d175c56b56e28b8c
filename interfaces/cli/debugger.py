"""The debugger of `step`: Python's own, stopped at the first line of what a user wrote for a node."""

import inspect
import pdb  # noqa: T100  # it is what this module is for
import sys
import traceback
from functools import partial
from types import CodeType, TracebackType
from typing import Any

from domain.context import TaskContext
from domain.nodes import ElasticsearchIndexNode, Route
from domain.pipeline import FunctionNode, Node

_OURS = ("domain", "application", "interfaces")
_SKIPPED = [*_OURS, *(f"{name}.*" for name in _OURS), "bdb", "pdb"]


class Debugger(pdb.Pdb):
    """Runs one node. Beyond the user's own function it does not stop in our code."""

    def __init__(self) -> None:
        # Interrupts stay Python's own: at its prompt one is said, in the node it ends the run.
        super().__init__(skip=_SKIPPED, nosigint=True)

    def run_node(self, node: Node, context: TaskContext) -> TaskContext:
        """Run a node, stopped in the function that is the user's; where its source is not at hand, at the first line.

        Raises:
            bdb.BdbQuit: the user left the debugger; the node has not ended.
        """
        code = code_of(node)
        self.reset()
        if code is not None and self.set_break(code.co_filename, code.co_firstlineno, funcname=code.co_name) is None:
            self.botframe = sys._getframe()  # noqa: SLF001  # below it there is nothing to return to
            self.set_continue()
        sys.settrace(self.trace_dispatch)
        try:
            return node(context)
        finally:
            sys.settrace(None)
            self.clear_all_breaks()


def code_of(node: Node) -> CodeType | None:
    """The code that a user wrote for a node: of the function that it was made of, else of its class."""
    written: Any = type(node).__call__
    if isinstance(node, FunctionNode):
        written = node.function
    elif isinstance(node, Route):
        written = node.choose
    elif isinstance(node, ElasticsearchIndexNode) and node.document is not None:
        written = node.document
    while isinstance(written, partial):
        written = written.func
    written = inspect.unwrap(written)
    if not hasattr(written, "__code__"):
        written = type(written).__call__
    return getattr(written, "__code__", None)


def told(error: BaseException) -> str:
    """An exception with its traceback, from the first frame that is not ours on."""
    found: TracebackType | None = error.__traceback__
    while found is not None and str(found.tb_frame.f_globals.get("__name__")).partition(".")[0] in {*_OURS, "bdb"}:
        found = found.tb_next
    return "".join(traceback.format_exception(type(error), error, found)).rstrip()
