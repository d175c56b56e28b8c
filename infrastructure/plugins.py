"""Plugins: finds the users' pipelines. Ours, where there are any, come in through the same door."""

import importlib
from collections.abc import Iterable
from importlib.metadata import entry_points

from domain.errors import Misconfigured
from domain.pipeline import Pipeline
from domain.registry import PipelineRegistry

GROUP = "playhead.pipelines"


def load_pipelines(modules: Iterable[str] = ()) -> PipelineRegistry:
    """Load the pipelines of every installed package that declares some, and of the named modules.

    Raises:
        Misconfigured: a module cannot be imported or holds no pipelines; names it.
        InvalidPipeline: two pipelines have one name or accept one type.
    """
    found: list[Pipeline] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            found += _pipelines(entry.load(), f"entry point {entry.name} = {entry.value}")
        except Exception as error:
            raise Misconfigured(f"The entry point {entry.name} = {entry.value} cannot be loaded: {error}") from error
    for module in modules:
        try:
            loaded = importlib.import_module(module)
        except Exception as error:
            raise Misconfigured(f"PIPELINES: the module {module!r} cannot be imported: {error}") from error
        found += _pipelines(getattr(loaded, "PIPELINES", None), f"{module}.PIPELINES")
    # A package that is installed and named as well is one package.
    return PipelineRegistry({id(pipeline): pipeline for pipeline in found}.values())


def _pipelines(value: object, where: str) -> list[Pipeline]:
    pipelines = list(value) if isinstance(value, tuple | list) else [value]
    for pipeline in pipelines:
        if not isinstance(pipeline, Pipeline):
            raise Misconfigured(f"{where} must be a tuple of Pipeline, and holds a {type(pipeline).__name__}.")
    return [pipeline for pipeline in pipelines if isinstance(pipeline, Pipeline)]
