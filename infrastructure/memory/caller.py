"""MemoryCaller: remembers what it was asked to call, and answers as a test says."""

from application.ports.caller import Answer, Caller, CallResult
from domain.effects import Call

DONE = CallResult(phase="done", answer=Answer(status=200, content_type="text/plain", body="ok"))


class MemoryCaller(Caller):
    """Each call takes the next of `results`, or is done. An exception among them is raised."""

    def __init__(self, *results: CallResult | BaseException) -> None:
        self.results = list(results)
        self.calls: list[tuple[str, Call]] = []

    def call(self, call: Call, *, effect_id: str) -> CallResult:
        self.calls.append((effect_id, call))
        result = self.results.pop(0) if self.results else DONE
        if isinstance(result, BaseException):
            raise result
        return result
