"""The type of the pipeline `slow`, moved to another pipeline: `slow` stays for what was routed to it."""

from playhead import Pipeline
from tests.end_to_end.slow_pipelines import QUICK, SLOW, Slow, document, emit, wait

MOVED = Pipeline("moved", {"slow.asked": Slow}, (wait, emit), document=document)
PIPELINES = (Pipeline("slow", {"slow.asked.old": Slow}, SLOW.nodes, document=document), QUICK, MOVED)
