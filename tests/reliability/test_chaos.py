"""The small form of chaos: real processes, ten thousand events, every kind of fault, nothing violated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.processes import ROOT

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.elasticsearch]
MOST_TOLD = 6000


@pytest.mark.timeout(300)
def test_whatever_is_killed_stopped_emptied_or_cut_nothing_is_lost_doubled_or_out_of_order(
    tmp_path: Path, postgres_server: str, redis_url: str, elasticsearch_url: str
) -> None:
    form = ["--on", "postgres-redis", "--events", "10000", "--minutes", "2", "--lease", "3", "--seed", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.chaos", *form, "--report", str(tmp_path / "report")],
        cwd=ROOT, env={**os.environ, "TEST_ELASTICSEARCH_URL": elasticsearch_url}, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-MOST_TOLD:]
    [written] = (tmp_path / "report").glob("*.json")
    report = json.loads(written.read_text())
    assert report["violations"] == 0
    assert all(one["total"] for one in report["invariants"])
    assert {kind for kind, counts in report["faults"].items() if counts["done"]} >= {
        "worker-kill", "api-kill", "beat-kill", "broker-kill", "database-stop", "answer-lost",
    }  # fmt: skip
