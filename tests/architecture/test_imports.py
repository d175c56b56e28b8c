"""Who may import whom, and that importing opens nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "application", "infrastructure", "interfaces", "playhead")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
MODULES = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in FILES]

# Imports each module in turn, with an ear for what an import must not do.
IMPORT_ALL = """
import importlib, os, sys, threading
sys.dont_write_bytecode = True
FORBIDDEN = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen",
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
current, done = "", []

def hear(event, arguments):
    if event == "open" and current and isinstance(arguments[2], int) and arguments[2] & WRITING:
        done.append(f"{current}: writes {arguments[0]}")
    elif event in FORBIDDEN and arguments[1:] != (("::1", 0),):  # so urllib3 asks whether this machine has IPv6
        done.append(f"{current}: {event} {arguments}")

sys.addaudithook(hear)
for current in sys.argv[1:]:
    importlib.import_module(current)
    if threading.active_count() > 1:
        done.append(f"{current}: {threading.enumerate()}")
print("\\n".join(done))
"""


def test_the_contracts_of_pyproject_hold(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    status = lint_imports(no_cache=True)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def imported(*modules: str, path: Path = ROOT) -> str:
    """What importing these modules in a fresh process did that it must not do."""
    process = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules],
        cwd=path,
        env={"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_importing_any_module_opens_no_connection_writes_no_file_and_starts_nothing():
    assert len(MODULES) > 30
    assert imported(*MODULES) == ""


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
        ("open('left.txt', 'w').close()", "writes left.txt"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "Thread-1"),
        ("import sqlite3; sqlite3.connect(':memory:')", "sqlite3.connect"),
        (
            "import subprocess, sys; subprocess.call([sys.executable, '-S', '-c', ''])",
            "subprocess.Popen",
        ),
    ],
)
def test_the_ear_hears_what_an_import_must_not_do(tmp_path, body, heard):
    (tmp_path / "guilty.py").write_text(body, encoding="utf-8")

    assert heard in imported("guilty", path=tmp_path)


@pytest.mark.parametrize("file", FILES, ids=MODULES)
def test_the_first_line_of_a_module_says_what_lives_there(file):
    text = file.read_text(encoding="utf-8")

    assert text.startswith('"""'), file
    assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) > 20, file


def test_the_domain_imports_nothing_but_the_standard_library_libraries_for_values_and_json_and_itself():
    allowed = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "jiter", "msgspec", "domain"}
    for file in (ROOT / "domain").rglob("*.py"):
        for statement in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom):
                names = [statement.module]
            assert {name.partition(".")[0] for name in names} <= allowed, file


def test_the_domain_reads_no_clock_and_draws_no_unseeded_number():
    forbidden = {"time", "secrets", "os", "socket", "threading", "logging", "subprocess"}
    for file in (ROOT / "domain").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported_names = {
            alias.name for item in ast.walk(tree) if isinstance(item, ast.Import) for alias in item.names
        } | {item.module for item in ast.walk(tree) if isinstance(item, ast.ImportFrom)}
        called = {item.attr for item in ast.walk(tree) if isinstance(item, ast.Attribute)}
        assert not imported_names & forbidden, file
        assert not called & {"utcnow", "today", "uuid1", "uuid4", "urandom", "getrandbits"}, file


def test_the_public_face_is_all_that_the_example_imports():
    allowed = {"playhead", "playhead.testing", "pydantic", "pytest"}
    for file in (ROOT / "examples" / "flights").rglob("*.py"):
        for statement in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.ImportFrom):
                assert statement.module in allowed or statement.module.partition(".")[0] in {
                    "flights",
                    *sys.stdlib_module_names,
                }, file
