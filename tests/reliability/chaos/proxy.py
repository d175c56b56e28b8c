"""Proxy: a port before a server, on which connections are cut, held up, or lose an answer that was given."""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

Result = TypeVar("Result")

_COMMITTING = rb"(?:append_events|complete_claim)"
_PARSE = re.compile(rb"P.{4}(\w*)\x00[^\x00]*" + _COMMITTING, re.DOTALL)
_BIND = re.compile(rb"B.{4}[^\x00]*\x00(\w+)\x00", re.DOTALL)
READY_FOR_QUERY = b"Z\x00\x00\x00\x05I"
"""What PostgreSQL's answer to a transaction's end ends with: protocol 3.0, idle."""


@dataclass(eq=False)
class Wire:
    """One connection: client and server, the names of its prepared statements that commit, and whether one runs."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    prepared: set[bytes] = field(default_factory=set)
    losing: bool = False

    def abort(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()


Commits = Callable[[bytes, Wire], bool]


def postgres_commits(data: bytes, wire: Wire) -> bool:
    """Whether a client's message calls `append_events` or `complete_claim`, also by a prepared statement's name."""
    for found in _PARSE.finditer(data):
        if not found[1]:
            return True
        wire.prepared.add(found[1])
    return any(found[1] in wire.prepared for found in _BIND.finditer(data))


def http_commits(data: bytes, _: Wire) -> bool:
    """Whether a client's message posts events."""
    return data.startswith(b"POST /events")


class Proxy:
    """Leads to `target` while it is open. Its methods may be called from any thread."""

    def __init__(self, target: tuple[str, int], *, commits: Commits = http_commits, answer_ends: bytes = b"") -> None:
        """`commits` tells the messages whose answer may be lost; such an answer ends with `answer_ends`."""
        self.target = target
        self.lost = 0
        self._commits = commits
        self._answer_ends = answer_ends
        self._to_lose = 0
        self._open = True
        self._wires: set[Wire] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every connection at once."""
        self._do(self._cut())

    def shut(self) -> None:
        """End every connection, and refuse new ones until `open`."""
        self._open = False
        self.cut()

    def open(self) -> None:
        self._open = True

    def stall(self) -> None:
        """Let nothing through, either way, until `flow`; what comes meanwhile comes late."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.set)

    def lose(self, answers: int) -> None:
        """Let the server answer the next messages that commit, drop the answers, and end these connections."""
        self._to_lose = answers

    def close(self) -> None:
        self.shut()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _cut(self) -> None:
        for wire in list(self._wires):
            wire.abort()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        if not self._open:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        wire = Wire(writer, to_server)
        self._wires.add(wire)
        with suppress(OSError):
            await asyncio.wait(
                [asyncio.ensure_future(self._up(reader, wire)), asyncio.ensure_future(self._down(from_server, wire))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        self._wires.discard(wire)
        for end in (wire.client, wire.server):
            end.close()

    async def _up(self, reader: asyncio.StreamReader, wire: Wire) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                if self._commits(data, wire) and self._to_lose > 0:
                    self._to_lose -= 1
                    wire.losing = True
                wire.server.write(data)
                await wire.server.drain()

    async def _down(self, reader: asyncio.StreamReader, wire: Wire) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                if wire.losing:
                    if data.endswith(self._answer_ends):
                        self.lost += 1
                        wire.abort()
                        return
                    continue
                wire.client.write(data)
                await wire.client.drain()
