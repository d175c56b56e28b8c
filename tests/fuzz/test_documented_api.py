"""The whole API, from outside, by its own document: every phase of schemathesis against a running service."""

import os
import subprocess
from pathlib import Path

from tests.end_to_end.processes import BIN, free_port, is_ready, run, wait_until
from tests.end_to_end.scale import processes

SEED = os.environ.get("FUZZ_SEED", "1")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "40")


def test_no_request_by_the_document_is_answered_by_an_error_or_otherwise_than_documented(tmp_path: Path) -> None:
    # With keys: the document says which requests need one.
    with processes(tmp_path, api_keys="on") as found:
        port = free_port()
        service = found.start("playhead", "dev", "--port", str(port))
        wait_until(lambda: is_ready(port), seconds=30, log=service.stderr)
        made = run(found.environment, "keys", "create", "fuzz", "--scope", "admin", cwd=tmp_path)
        fuzzed = subprocess.run(
            [
                str(BIN / "st"), "run", f"http://127.0.0.1:{port}/openapi.json", "--no-color",
                "--phases=examples,coverage,fuzzing,stateful", f"--max-examples={EXAMPLES}", f"--seed={SEED}",
                f"--header=Authorization: Bearer {made.stdout.strip()}",
                # What an event must be beyond its shape (its type's schema, a version's subject) no document can say.
                "--exclude-checks=positive_data_acceptance",
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert fuzzed.returncode == 0, fuzzed.stdout[-6000:]
        assert service.popen.poll() is None
        assert '"status": 5' not in service.stderr.read_text()
