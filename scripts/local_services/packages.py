"""Debian packages: which are lacking, and their installation without the servers that Debian would start."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from local_services.processes import ServiceError

POLICY = Path("/usr/sbin/policy-rc.d")


def why_not() -> str:
    """Why this process cannot install packages; empty where it can."""
    if shutil.which("apt-get") is None:
        return "this machine has no apt-get"
    return "" if os.geteuid() == 0 else "only root can install packages"


def advice(packages: Sequence[str]) -> str:
    """What a person can do about it."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        return f"Install what Debian calls {names}, or name a running one"
    return f"To install: sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"


def install(packages: Sequence[str]) -> None:
    """Install by apt-get, or raise with the output's end."""
    with _no_servers_started():
        # A source that cannot be reached is no reason to stop: the packages may come from another.
        _apt("update", "-qq")
        output = _apt("install", "-y", "-qq", "--no-install-recommends", *packages)
    if output is not None:
        raise ServiceError(f"apt-get install {' '.join(packages)} failed:\n{output}")


def _apt(*arguments: str) -> str | None:
    done = subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return None if done.returncode == 0 else (done.stdout + done.stderr)[-2000:].strip()


@contextlib.contextmanager
def _no_servers_started() -> Iterator[None]:
    """Debian starts a server when it is installed, unless this file says no. Ours listen elsewhere."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
