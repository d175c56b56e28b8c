"""PipelineRegistry: which pipeline an event has."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from domain.errors import InvalidPipeline, NotFound, UnknownType
from domain.events import NewEvent, RecordedEvent
from domain.fingerprints import PipelineCode
from domain.nodes import ElasticsearchIndexNode
from domain.pipeline import Pipeline, walk
from domain.source import forget


class PipelineRegistry:
    """The loaded pipelines; a type has one pipeline.

    Raises:
        InvalidPipeline: two pipelines have one name or accept one type, or two schedules have one name.
    """

    def __init__(self, pipelines: Iterable[Pipeline] = ()) -> None:
        self._by_name: dict[str, Pipeline] = {}
        self._by_type: dict[str, Pipeline] = {}
        self._schedules: set[str] = set()
        self._prepared: dict[str, Pipeline] = {}
        for pipeline in pipelines:
            if pipeline.name in self._by_name:
                raise InvalidPipeline(f"Two pipelines are called {pipeline.name!r}.")
            self._by_name[pipeline.name] = pipeline
            for schedule in pipeline.schedules:
                if schedule.name in self._schedules:
                    raise InvalidPipeline(f"Two schedules are called {schedule.name!r}.")
                self._schedules.add(schedule.name)
            for type_ in pipeline.accepts:
                other = self._by_type.setdefault(type_, pipeline)
                if other is not pipeline:
                    raise InvalidPipeline(f"Both {other.name!r} and {pipeline.name!r} accept {type_!r}.")

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @property
    def types(self) -> list[str]:
        """Every accepted event type."""
        return list(self._by_type)

    def named(self, name: str) -> Pipeline:
        """The pipeline of this name.

        Raises:
            NotFound: none is loaded.
        """
        if name not in self._by_name:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise NotFound(f"No pipeline is called {name!r}; loaded are: {known}.")
        return self._by_name[name]

    def prepared(self, name: str) -> Pipeline:
        """The pipeline of this name as it is run: with the node that makes its result searchable, unless it has one.

        It is made once, so that its code is read once: before anything runs that may change what it reaches.

        Raises:
            NotFound: none is loaded.
        """
        pipeline = self.named(name)
        if name not in self._prepared:
            has_one = any(isinstance(node, ElasticsearchIndexNode) for node in walk(pipeline.nodes))
            prepared = pipeline if has_one else pipeline.add_node(ElasticsearchIndexNode(pipeline.document))
            self._prepared.setdefault(name, prepared)
        return self._prepared[name]

    @property
    def codes(self) -> dict[str, PipelineCode]:
        """The code of each pipeline as it is run here, by its name."""
        codes = {name: self.prepared(name).code for name in self._by_name}
        forget()  # pipelines share modules; from now on nobody asks for a source
        return codes

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each pipeline as it is run here, by its name."""
        return {name: code.fingerprint for name, code in self.codes.items()}

    def get_pipeline(self, event: NewEvent | RecordedEvent) -> Pipeline:
        """The pipeline that events of this one's type have today.

        Raises:
            UnknownType: no pipeline accepts it; the message names the nearest types that one does.
        """
        return self.pipeline_for(event.type)

    def pipeline_for(self, type_: str) -> Pipeline:
        """The pipeline of an event type; see `get_pipeline`."""
        pipeline = self._by_type.get(type_)
        if pipeline is None:
            near = get_close_matches(type_, self._by_type, n=3, cutoff=0.5) or sorted(self._by_type)[:5]
            known = f"; the nearest are {', '.join(near)}" if near else ", and no pipeline is loaded"
            raise UnknownType(f"No pipeline accepts events of type {type_!r}{known}.")
        return pipeline
