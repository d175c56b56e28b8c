"""What several contracts of the search index are held against."""

import pytest

from tests.contracts.search_suite import FIELDS, KEEPERS, LIBRARY, keepers


@pytest.fixture(scope="module", params=KEEPERS)
def library(request, tmp_path_factory):
    """An index that holds LIBRARY; tests only read it."""
    with keepers(request.param, tmp_path_factory.mktemp("library")) as make:
        index = make()
        index.open(FIELDS)
        assert index.put(LIBRARY) == []
        yield index
