"""Indices: built beside the one that serves, compared with the store, and let serve in its place."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pydantic_core import to_json

from application.auditor import Auditor
from application.engine import Batch, Engine, Outcome, Work
from application.ports.claims import Claims
from application.ports.context_log import ContextLog
from application.ports.event_log import EventLog
from application.ports.log_ids import LogIds
from application.ports.promotions import Promotions, ranks_of
from application.ports.search_index import FieldType, Index, Label, SearchIndex, context_of
from application.subscription import Selection, Subscription
from application.use_cases.comparing import results_of
from application.use_cases.results import INDEX, LOG, contexts_of, documents_of, put_contexts, shows
from domain.errors import IndexDiffers, Unavailable

PARTITION = 10_000
"""Event positions that are compared at once."""
_READ = 500
_BUILD = f"{INDEX}-"
"""The name of a subscription that fills an index begins so; its key follows."""
_PAUSE_SECONDS = 0.2
_SHOWN_SECONDS = 2.0
"""After how long what was put is found for sure: an index shows it within a second."""

Progress = Callable[[int, int], None]
"""Told how far it is, and of how much."""


def _unwatched(_done: int, _total: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDifference:
    """A document that an index should have and has not, has otherwise than the store says, or should not have."""

    kind: Literal["missing", "altered", "surplus"]
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The documents of the events at some positions, as the store says and as the index has them.

    A digest is over ids, versions and contents, in the order of the ids. What is still on its way is left out.
    """

    first: int
    last: int
    stored: int
    indexed: int
    stored_digest: str
    indexed_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVerification:
    """What became of the comparison of an index with the store."""

    index: str
    partitions: Sequence[Partition]
    differences: Sequence[IndexDifference]


@dataclass(frozen=True, slots=True)
class _Document:
    """A document as it is compared."""

    version: int
    digest: bytes


@dataclass(kw_only=True)
class IndexBuilder:
    """Builds indices from the log, and compares them with it.

    `engine_of` makes an engine that has one work and no other, `template` is the `index` subscription, `progress` is
    told contexts while an index is filled, positions of events while one is compared.
    """

    index: SearchIndex
    fields: Mapping[str, FieldType]
    events: EventLog
    contexts: ContextLog
    claims: Claims
    log_ids: LogIds
    promotions: Promotions
    template: Subscription
    engine_of: Callable[[Work], Engine]
    sleep: Callable[[float], None] = time.sleep
    progress: Progress = _unwatched

    def build(self, view: Sequence[int]) -> Index:
        """Fill an index of this view beside the others, or go on with one that was begun.

        It is filled with the contexts up to the log's head when it was made; into whatever came later, the `index`
        subscription puts it, as into every other index.

        Raises:
            Unavailable: a store or the index cannot be reached, or is a standby; begun again, it goes on where it was.
        """
        self.log_ids.require_writable()
        log_id = self.log_ids.of(LOG)
        begun = [each for each in self.index.indices() if shows(each, log_id, view, whole=False)]
        made = begun[0] if begun else self.index.make(self.fields, Label(log_id=log_id, view=tuple(view), whole=False))
        assert made.label is not None
        label = made.label
        if label.until is None:
            # Read after it was made: who did not see it yet has put nothing that is later than this.
            label = replace(label, until=self.contexts.head())
            self.index.label(label, made)
        self._fill(made, label)
        label = replace(label, whole=True)
        self.index.label(label, made)
        self._forget_builds_of_no_index()
        return replace(made, label=label)

    def _fill(self, index: Index, label: Label) -> None:
        ranks, until = ranks_of(label.view), label.until or 0
        subscription = replace(
            self.template, name=_BUILD + index.key, selection=replace(self.template.selection, last=until)
        )

        def fill(batch: Batch) -> Sequence[Outcome]:
            # Its fields are asked for each time: a build takes long, and a deploy meanwhile may add some.
            put_contexts(batch.rows, ranks, index=self.index, into=replace(index, fields=None))
            return [Outcome(position=row.position) for row in batch.rows]

        load = partial(contexts_of, ranks, contexts=self.contexts)
        engine = self.engine_of(Work(subscription=subscription, load=load, handle=fill))
        self._forget_builds_of_no_index()
        self.claims.register([subscription])
        try:
            # No backlog: another process has built it, and forgotten the subscription.
            while backlog := self.claims.backlog([subscription.name]).get(subscription.name):
                self.progress(min(until, backlog.cursor), until)
                if backlog.cursor >= until and not backlog.claims:
                    return
                if not engine.turn(subscription.name, seconds=0.5):
                    # Its last claims are leased to another process, or wait for their next attempt.
                    self.sleep(_PAUSE_SECONDS)
                if index.key not in {each.key for each in self.index.indices()}:
                    raise Unavailable("The index that was being built was deleted. Begin again.")
        except KeyboardInterrupt:
            engine.release()
            raise

    def _forget_builds_of_no_index(self) -> None:
        """Forget the subscriptions that fill an index which was dropped, or is whole."""
        filled = {_BUILD + each.key for each in self.index.indices() if each.label and not each.label.whole}
        names = [name for name in self.claims.subscriptions() if name.startswith(_BUILD) and name not in filled]
        if names:
            self.claims.forget(names)

    def verify(self, index: Index) -> IndexVerification:
        """Compare an index with the store, document by document. What is on its way into it is passed over.

        Raises:
            Unavailable: a store or the index cannot be reached.
        """
        end = self.events.head()
        partitions: list[Partition] = []
        differences: list[IndexDifference] = []
        for after in range(0, max(end, 1), PARTITION):
            last = after + PARTITION
            partition, found = self._compare(index, after, last, end=end)
            if found:
                # What was put a moment ago is not found yet: only what differs twice differs.
                self.sleep(_SHOWN_SECONDS)
                partition, again = self._compare(index, after, last, end=end)
                found = [each for each in again if each in found]
            partitions.append(partition)
            differences += found
            self.progress(min(last, end), end)
        return IndexVerification(index=index.name, partitions=partitions, differences=differences)

    def _compare(self, index: Index, after: int, last: int, *, end: int) -> tuple[Partition, Sequence[IndexDifference]]:
        is_last = last >= end
        head, passed = self.contexts.head(), self._passed(index)
        stored = self._stored(index, after, None if is_last else last)
        indexed = {
            each.event_id: _Document(each.version, _digest(each.hit))
            for each in self.index.documents(index, after=after or None, last=None if is_last else last)
        }
        for event_id in {*stored, *indexed}:
            versions = [context_of(each[event_id].version) for each in (stored, indexed) if event_id in each]
            if max(versions) > head or (event_id in stored and context_of(stored[event_id].version) > passed):
                stored.pop(event_id, None)
                indexed.pop(event_id, None)
        both = [each for each in stored if each in indexed]
        differences = [
            *(IndexDifference(kind="missing", event_id=each) for each in stored if each not in indexed),
            *(IndexDifference(kind="altered", event_id=each) for each in both if stored[each] != indexed[each]),
            *(IndexDifference(kind="surplus", event_id=each) for each in indexed if each not in stored),
        ]
        partition = Partition(
            first=after + 1,
            last=min(last, end),
            stored=len(stored),
            indexed=len(indexed),
            stored_digest=_digest_of_all(stored),
            indexed_digest=_digest_of_all(indexed),
        )
        return partition, differences

    def _passed(self, index: Index) -> int:
        """Up to which context everything has been put into an index."""
        backlog = self.claims.backlog([INDEX]).get(INDEX)
        by_subscription = backlog.cursor if backlog else 0
        # Only now: a claim that was taken meanwhile begins behind that cursor.
        by_subscription = min([by_subscription, *(first - 1 for first, _ in self.claims.ranges(INDEX))])
        return max(by_subscription, (index.label and index.label.until) or 0)

    def _stored(self, index: Index, after: int, last: int | None) -> dict[str, _Document]:
        """The documents that the store has for an index, of the events past a position and up to a last one."""
        ranks = ranks_of(index.label.view if index.label else self.promotions.current().promoted)
        found: dict[str, _Document] = {}
        positions = sorted(self._completed(ranks, after, last))
        for begin in range(0, len(positions), _READ):
            rows = self.contexts.read(Selection(positions=tuple(positions[begin : begin + _READ])), limit=_READ)
            documents = [document for row in rows for document in documents_of(row, ranks)]
            for each in self.index.expected(documents, index):
                present = found.get(each.event_id)
                if present is None or each.version >= present.version:
                    found[each.event_id] = _Document(each.version, _digest(each.hit))
        return found

    def _completed(self, ranks: Mapping[int, int], after: int, last: int | None) -> Iterator[int]:
        """The positions of the completed contexts of some generations."""
        for generation in ranks:
            for result in results_of(generation, self.contexts, after=after):
                if last is not None and result.event_position > last:
                    break
                if result.status == "completed":
                    yield result.position


def _digest(hit: Mapping[str, object]) -> bytes:
    return hashlib.sha256(to_json(dict(sorted(hit.items())))).digest()


def _digest_of_all(documents: Mapping[str, _Document]) -> str:
    whole = hashlib.sha256()
    for event_id in sorted(documents):
        whole.update(b"%s %d " % (event_id.encode(), documents[event_id].version))
        whole.update(documents[event_id].digest)
    return whole.hexdigest()


def rebuild_index(*, builder: IndexBuilder, auditor: Auditor) -> Index:
    """Build the index of today's view anew beside the present one, compare it with the store, and let it serve.

    The present one answers meanwhile; in the end there is no other than the new one.

    Raises:
        IndexDiffers: the new index is not what the store says; the present one goes on serving.
        Unavailable: a store or the index cannot be reached; begun again, it goes on where it was.
    """
    auditor.record("index.rebuild", builder.index.backend)
    built = builder.build(builder.promotions.current().promoted)
    differences = builder.verify(built).differences
    if differences:
        builder.index.drop(built)
        raise IndexDiffers(
            f"The index that was built differs from the store in {len(differences):,} documents, such as that of "
            f"{differences[0].event_id} ({differences[0].kind}). It was dropped, and the present one goes on serving. "
            "Run it again: playhead index rebuild"
        )
    builder.index.serve(built)
    drop_others({built.key}, index=builder.index)
    return built


def drop_others(kept: set[str], *, index: SearchIndex) -> None:
    """Drop every index but those with these keys and the one that serves."""
    for each in index.indices():
        if each.key not in kept and not each.serves:
            index.drop(each)
