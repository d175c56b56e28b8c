"""PipelineCodes: what each fingerprint stands for, so that it can be told later what has changed since."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from domain.fingerprints import PipelineCode


class PipelineCodes(Protocol):
    """Keeps the code of pipelines by fingerprint; what is kept is never changed."""

    def register(self, codes: Iterable[PipelineCode]) -> None:
        """Keep codes under their fingerprints, before anything that they make is appended; those known stay.

        Raises:
            Unavailable: the database cannot be reached.
        """
        ...

    def find(self, fingerprints: Collection[str]) -> Mapping[str, PipelineCode]:
        """The codes of these fingerprints, as far as they are kept."""
        ...
