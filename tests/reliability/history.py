"""History: what senders asked for and what they were told, kept outside of the service."""

from dataclasses import dataclass, field
from typing import Literal

from application.ports.event_log import Verdict
from application.ports.replays import Replay
from domain.envelopes import Submission

Answer = Literal["taken", "repeated", "refused", "unknown"]


@dataclass(slots=True, kw_only=True)
class Request:
    """One submission and the answers to it, as often as it was sent. `unknown`: no answer, or a failure."""

    submission: Submission
    kind: str
    answers: list[Answer] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)
    """Event id and position, of each answer that named them."""

    def answered(self, verdict: Verdict | None) -> None:
        """Note an answer; None is none."""
        if verdict is None:
            self.answers.append("unknown")
        elif verdict.refusal is not None:
            self.answers.append("refused")
        else:
            assert verdict.event_id is not None
            assert verdict.position is not None
            self.answers.append("repeated" if verdict.repeated else "taken")
            self.told.append((verdict.event_id, verdict.position))

    @property
    def accepted(self) -> bool:
        """Whether its sender was promised that it is stored."""
        return bool(self.told)


@dataclass(slots=True)
class History:
    """Every request of a run, and the replay that it made."""

    requests: list[Request] = field(default_factory=list)
    replay: Replay | None = None

    def request(self, submission: Submission, kind: str) -> Request:
        """Begin to remember a request."""
        request = Request(submission=submission, kind=kind)
        self.requests.append(request)
        return request
