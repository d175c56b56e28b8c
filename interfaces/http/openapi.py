"""Prints the OpenAPI document: `python -m interfaces.http.openapi`."""

import json
import sys

from dependency_injector import providers

from domain.registry import PipelineRegistry
from infrastructure.container import Container
from infrastructure.settings import Settings
from interfaces.http.app import create_app


def document() -> str:
    """The OpenAPI document as it is committed. No pipeline and no store is needed for it."""
    container = Container(
        settings=providers.Object(Settings(_env_file=None)), registry=providers.Object(PipelineRegistry())
    )
    return json.dumps(create_app(container).openapi(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
