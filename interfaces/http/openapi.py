"""Prints the OpenAPI document: `python -m interfaces.http.openapi > docs/openapi.json`."""

import json
import sys

from interfaces.http.app import routes


def document() -> str:
    """The OpenAPI document as it is committed."""
    return json.dumps(routes().openapi(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
