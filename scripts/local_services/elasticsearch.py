"""Elasticsearch from the jars that its makers publish on Maven Central, started by a launcher of a few lines."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from local_services.processes import Process, ServiceError, spawn
from local_services.service import Service
from local_services.state import PROJECT

SOURCES = PROJECT / "scripts" / "elasticsearch"
VERSION = "8.17.0"

# In full, so that a machine without the network is told of that, and not of an unknown plugin.
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

DESCRIPTOR = f"""\
name=transport-netty4
description=HTTP and transport on Netty 4
version={VERSION}
elasticsearch.version={VERSION}
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
extended.plugins=
has.native.controller=false
"""

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class Elasticsearch(Service):
    name = "elasticsearch"
    variable = "TEST_ELASTICSEARCH_URL"
    port_variable = "ELASTICSEARCH_PORT"
    number_of_ports = 2
    patience = 120

    def lacking(self) -> list[str]:
        if self.is_fetched():
            return [] if shutil.which("java") else ["openjdk-17-jre-headless"]
        needed = {"javac": "openjdk-17-jdk-headless", "mvn": "maven"}
        return [package for program, package in needed.items() if shutil.which(program) is None]

    def is_fetched(self) -> bool:
        return _home().exists()

    def fetch(self) -> None:
        home = _home()
        home.parent.mkdir(parents=True, exist_ok=True)
        # Made beside and renamed: a home under the final name is whole, whoever was killed or came second.
        with tempfile.TemporaryDirectory(dir=home.parent) as name:
            draft = Path(name) / "home"
            _download(draft / "lib")
            _assemble(draft)
            with contextlib.suppress(FileExistsError):
                draft.rename(home)

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}"

    def launch(self, directory: Path, ports: list[int]) -> Iterator[Process]:
        home = _home()
        for name in ("data", "config", "logs", "tmp"):
            shutil.rmtree(directory / name, ignore_errors=True)
            (directory / name).mkdir()
        (directory / "config" / "log4j2.properties").write_text(LOGGING)
        (directory / "config" / "elasticsearch.yml").write_text(
            "cluster.name: playhead\n"
            "discovery.type: single-node\n"
            "network.host: 127.0.0.1\n"
            f"http.port: {ports[0]}\n"
            f"transport.port: {ports[1]}\n"
            f"path.data: '{directory / 'data'}'\n"
            f"path.logs: '{directory / 'logs'}'\n"
            # A nearly full disk must not make the indices of the tests read-only.
            "cluster.routing.allocation.disk.threshold_enabled: false\n"
        )
        command = ["java", "-Xms512m", "-Xmx512m", f"-Djava.io.tmpdir={directory / 'tmp'}", f"-Des.path.home={home}"]
        command += ["--module-path", str(home / "lib"), "--add-modules=jdk.net,ALL-MODULE-PATH"]
        command += ["-cp", str(home / "classes"), "Launcher", str(home), str(directory / "config")]
        yield spawn(command, log=directory / "log")

    def answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/_cluster/health", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False


def _home() -> Path:
    """Kept with the user, not the checkout, so that the next clone downloads nothing; named by what it is made of."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "playhead" / f"elasticsearch-{VERSION}"


def _download(jars: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(SOURCES / "pom.xml"), COPY_DEPENDENCIES]
    _run([*command, f"-DoutputDirectory={jars}", "-DincludeScope=runtime"], "maven could not get its jars")


def _assemble(home: Path) -> None:
    module = home / "modules" / "transport-netty4"
    module.mkdir(parents=True)
    for jar in (home / "lib").glob("*netty*.jar"):
        jar.rename(module / jar.name)
    (module / "plugin-descriptor.properties").write_text(DESCRIPTOR)
    command = ["javac", "--module-path", str(home / "lib"), "--add-modules=ALL-MODULE-PATH"]
    _run([*command, "-d", str(home / "classes"), str(SOURCES / "Launcher.java")], "its launcher does not compile")


def _run(command: list[str], problem: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)  # maven colours even what nobody sees
        raise ServiceError(f"{problem}: {said.strip()[:600]}")
