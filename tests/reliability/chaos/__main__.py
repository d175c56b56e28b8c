"""`scripts/chaos`: real processes, real faults, every promise checked. Exit code 0: nothing was violated."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.reliability.chaos.form import MODES, Form
from tests.reliability.chaos.report import write_report
from tests.reliability.chaos.run import run, say


def main() -> int:
    """Run, and say on standard output what was found."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is ended
    if given.on != "embedded" and not os.environ.get("TEST_ELASTICSEARCH_URL"):
        say('TEST_ELASTICSEARCH_URL is not set: eval "$(scripts/services start elasticsearch)", or run scripts/chaos')
        return 2
    with tempfile.TemporaryDirectory(prefix="playhead-chaos-", ignore_cleanup_errors=True) as scratch:
        form = Form(
            on=given.on, events=given.events, seed=given.seed, minutes=given.minutes, lease=given.lease,
            folder=Path(given.keep or scratch).absolute(),
        )  # fmt: skip
        form.folder.mkdir(parents=True, exist_ok=True)
        if any(form.folder.iterdir()):
            say(f"{form.folder} is not empty: the histories of two runs would mix")
            return 2
        outcome = run(form)
        folder = Path(given.report).absolute() if given.report else form.folder
        violations = write_report(outcome, folder, times_count=given.times)
    return 1 if violations else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--on", choices=MODES, default=MODES[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=2.0, help="of load and faults; calm comes after")
    parser.add_argument("--lease", type=float, default=3.0, help="seconds that a claim is held; 30 is what is shipped")
    parser.add_argument("--report", metavar="FOLDER", help="where chaos-….json and chaos-….html are written")
    parser.add_argument("--times", action="store_true", help="a recovery slower than its goal is a violation too")
    parser.add_argument("--keep", metavar="FOLDER", help="keep every history, log and SQLite file there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
