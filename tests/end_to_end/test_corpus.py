"""The corpus gate as a repository has it: the flights' own package, the workflow of the page, a bare checkout."""

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.embedded import dev
from tests.end_to_end.processes import BIN, MONTH, ROOT, environment

SENT = 7_000
"""The first departures of the month: more than 5,000 of them are in the corpus."""
SECONDS = 10.0
CORPUS = "corpus.ndjson.gz"
PLANTED = ("departures.py", "if flight.arr_delay >= LATE", "if flight.arr_delay > LATE")


@dataclass(frozen=True)
class Checkout:
    """A copy of the flights' package with a corpus in it, and a machine that has Playhead and no network."""

    folder: Path
    site: Path

    @property
    def environment(self) -> dict[str, str]:
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_TARGET": str(self.site)}
        found = environment(self.folder / "never")
        path = os.pathsep.join([str(BIN), found["PATH"]])
        return {**found, **offline, "PATH": path, "PYTHONPATH": str(self.site), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line in the checkout."""
        return subprocess.run(
            ["bash", "-e", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip

    def lines(self) -> list[Any]:
        """The events of the corpus."""
        return [json.loads(line) for line in gzip.decompress((self.folder / CORPUS).read_bytes()).splitlines()[1:]]


def workflow() -> Mapping[str, Any]:
    """The workflow of the page."""
    [text] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/how-to/corpus.md").read_text(), re.DOTALL)
    found: Mapping[str, Any] = yaml.safe_load(text)
    return found


def commands() -> list[str]:
    """What the workflow's steps run, in order."""
    [job] = workflow()["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A corpus of what a service made of the month's first departures."""
    folder = tmp_path_factory.mktemp("corpus")
    sent = gzip.decompress(MONTH.read_bytes()).splitlines()[:SENT]
    very_late = sum((json.loads(line)["data"]["arr_delay"] or 0) >= 120 for line in sent)
    with dev(folder / "home") as service:
        assert service.run("send", "-", stdin=b"\n".join(sent)).returncode == 0
        service.wait_for(Counter({("flights", "completed"): SENT, ("very_late", "completed"): very_late}))
        exported = service.run("corpus", "export", str(folder / CORPUS), "--per-shape", "5000")
        assert exported.returncode == 0, exported.stderr
    return (folder / CORPUS).read_bytes()


@pytest.fixture
def checkout(corpus: bytes, tmp_path: Path) -> Checkout:
    folder = tmp_path / "flights"
    shutil.copytree(ROOT / "examples/flights", folder, ignore=shutil.ignore_patterns("*.egg-info", "data", "build"))
    (folder / CORPUS).write_bytes(corpus)
    return Checkout(folder, tmp_path / "site")


def test_the_workflow_of_the_page_is_one_that_github_reads():
    found = workflow()

    assert found[True] == ["pull_request"]  # YAML 1.1 reads the word `on` so
    [job] = found["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    for step in job["steps"]:
        assert {"run", "uses"} & set(step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))
    [artifact] = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert artifact["with"]["path"] in commands()[-1]


def test_unchanged_code_passes_the_gate_in_time(checkout: Checkout):
    *install, check = commands()
    for command in install:
        done = checkout.type(command)
        assert done.returncode == 0, done.stderr
    assert len(checkout.lines()) >= 5_000

    began = time.monotonic()
    done = checkout.type(check)
    seconds = time.monotonic() - began

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stdout + done.stderr
    assert seconds < SECONDS
    assert "The code at hand beside the corpus" in (checkout.folder / "corpus.html").read_text()
    assert not (checkout.folder / "never").exists()


def test_a_planted_bug_stops_the_gate_and_is_named_in_every_event_that_it_affects(checkout: Checkout):
    name, right, wrong = PLANTED
    module = checkout.folder / "src/flights" / name
    text = module.read_text()
    assert text.count(f'return "late" {right}') == 1
    module.write_text(text.replace(right, wrong))
    affected = sum(line["event"]["data"].get("arr_delay") == 15 for line in checkout.lines())
    assert affected > 20

    codes = [checkout.type(command).returncode for command in commands()]
    found = json.loads(checkout.type(f"playhead corpus check {CORPUS} --json").stdout)

    assert codes == [0, 1]
    assert (found["different"], found["changed"]) == (affected, ["flights"])
    assert {(one["pipeline"], one["node"], one["place"], one["words"], one["events"]) for one in found["classes"]} == {
        ("flights", "status", "/outputs/status", "late → on_time", affected),
        ("flights", "status", "/effects/elasticsearch_index/*/document/status", "late → on_time", affected),
    }
    assert "late → on_time" in (checkout.folder / "corpus.html").read_text()


def test_no_carrier_airport_or_tail_number_is_in_the_file(corpus: bytes):
    flights = [json.loads(line)["data"] for line in gzip.decompress(MONTH.read_bytes()).splitlines()[:SENT]]
    sent = {each["tailnum"] for each in flights if each["tailnum"]}
    lines = [json.loads(line) for line in gzip.decompress(corpus).splitlines()[1:]]
    kept = [each["event"]["data"] for each in lines if each["event"]["type"] == "flight.recorded"]

    assert len(sent & {each["tailnum"] for each in kept}) < len(sent) / 100  # of so many, some meet another's by chance
    assert len({each["tailnum"] for each in kept}) > 1_000
    # By chance one of three codes may become another of them, and hardly two.
    assert sum(each["origin"] in {"EWR", "JFK", "LGA"} for each in kept) < 2 / 3 * len(kept)
