"""Elasticsearch away: told at once, in our words."""

import pytest

from application.ports.search_index import Label, SearchQuery
from domain.errors import Unavailable
from infrastructure.elasticsearch.client import connect
from infrastructure.elasticsearch.search_index import ElasticsearchSearchIndex


@pytest.mark.parametrize("use", ["open", "put", "search", "state", "indices", "make"])
def test_a_server_that_is_away_is_unavailable(use):
    arguments = {
        "open": [{}],
        "put": [[]],
        "search": [SearchQuery()],
        "make": [{}, Label(log_id="a")],
    }.get(use, [])
    # Port 9 of this machine: nobody listens, and the refusal comes at once.
    with connect("http://127.0.0.1:9") as client, pytest.raises(Unavailable, match="cannot be reached"):
        getattr(ElasticsearchSearchIndex(client), use)(*arguments)


def test_the_client_gives_up_a_call_soon():
    with connect("http://127.0.0.1:9") as client:
        [node] = client.transport.node_pool.all()
        assert (node.pool.timeout.connect_timeout, node.pool.timeout.read_timeout) == (3, 10)
