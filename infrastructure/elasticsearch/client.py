"""The client: short timeouts and no retries of its own, so that an absent server is told at once."""

from elastic_transport import NodeConfig, Urllib3HttpNode
from elasticsearch import Elasticsearch
from urllib3 import Timeout

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0


class _Node(Urllib3HttpNode):
    """The client knows one timeout for both; a server that does not answer the call is given up sooner."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.pool.timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)


def connect(url: str) -> Elasticsearch:
    """A client for the server at this URL, which may hold user and password; nothing is sent yet."""
    return Elasticsearch(url, node_class=_Node, max_retries=0, retry_on_timeout=False)
