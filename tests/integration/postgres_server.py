"""PostgresServer: a PostgreSQL server of a test's own, which may be killed and started again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))


class PostgresServer:
    """A cluster in a folder; nothing runs before `start`."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync").wait(60)

    def start(self) -> None:
        """Start, and return when connections are taken."""
        options = {"port": self._port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        self._process = self._run("postgres", "-D", str(self._data), *(f"--{k}={v}" for k, v in options.items()))
        ready = ("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port))
        deadline = time.monotonic() + 30
        while self._run(*ready).wait(10) != 0:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """Stop at once, as a crash would: what was not durable is gone, every connection is cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        # PostgreSQL refuses to be run by root.
        user = "postgres" if os.geteuid() == 0 else None
        silent = subprocess.DEVNULL
        command = [str(BINARIES[-1] / program), *arguments]
        return subprocess.Popen(command, user=user, cwd="/", stdin=silent, stdout=silent, stderr=silent)


@contextmanager
def postgres_server_of_its_own() -> Iterator[PostgresServer]:
    """A running server in a new folder, both gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="playhead-postgres-"))
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
    server = PostgresServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)
