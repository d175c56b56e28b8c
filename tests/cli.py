"""The command line in this process: what a command prints, where, and how it ends."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from infrastructure.settings import Settings
from interfaces.cli.main import main


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Cli:
    """Runs commands in a folder of the test's own, with no settings but those it sets."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    home: Path

    def __call__(self, *arguments: str) -> Ended:
        self.monkeypatch.setattr(sys, "argv", ["playhead", *arguments])
        self.capsys.readouterr()  # what was written before is not this command's
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Ended(code=code, out=out, err=err)

    def set(self, **settings: str) -> None:
        """Set settings by the environment."""
        for name, value in settings.items():
            self.monkeypatch.setenv(name, value)

    def module(self, name: str, text: str) -> None:
        """Write a module, and load its pipelines from now on."""
        (self.home / f"{name}.py").write_text(text)
        self.monkeypatch.syspath_prepend(self.home)
        self.set(PIPELINES=name)


@contextmanager
def command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Cli]:
    """A command line whose state is in `home`. Logging is as before at the end."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("NO_COLOR", "1")
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PLAYHEAD_HOME", str(home))
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    try:
        yield Cli(capsys=capsys, monkeypatch=monkeypatch, home=home)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**configured)
