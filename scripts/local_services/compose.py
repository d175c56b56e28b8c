"""The same services as containers, from the project's docker-compose.yml, where an engine answers."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping

from local_services.processes import ServiceError
from local_services.state import PROJECT

# A compose project of its own for each checkout: it never meets the one that its user runs.
_NAME = f"playhead-tests-{hashlib.sha256(str(PROJECT).encode()).hexdigest()[:8]}"
_COMPOSE = ("docker", "compose", "-p", _NAME, "-f", str(PROJECT / "docker-compose.yml"))


def is_available() -> bool:
    """Whether an engine answers soon and knows compose."""
    if shutil.which("docker") is None:
        return False
    try:
        return all(
            subprocess.run(command, capture_output=True, timeout=5, check=False).returncode == 0
            for command in (("docker", "info"), ("docker", "compose", "version"))
        )
    except subprocess.TimeoutExpired:
        return False


def up(ports: Mapping[str, tuple[str, int]], *, pull: bool) -> None:
    """Start services, each published at its port, and wait until all are healthy."""
    variables = {variable: str(port) for variable, port in ports.values()}
    command = [*_COMPOSE, "up", "--detach", "--wait", "--wait-timeout", "180"]
    command += ["--pull", "missing" if pull else "never", *ports]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if done.returncode:
        for name in ports:
            remove(name)
        raise ServiceError(done.stderr.strip()[-1000:])


def remove(name: str) -> None:
    """Stop one service and remove its container and its volume, which docker-compose.yml names after it."""
    subprocess.run([*_COMPOSE, "rm", "--stop", "--force", "--volumes", name], capture_output=True, check=False)
    subprocess.run(["docker", "volume", "rm", "--force", f"{_NAME}_{name}"], capture_output=True, check=False)
