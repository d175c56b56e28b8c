"""The client: short timeouts and no retries of its own, so that an absent server is told at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from elastic_transport import NodeConfig, Urllib3HttpNode
from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError
from urllib3 import Timeout

from domain.errors import Unavailable

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0


class _Node(Urllib3HttpNode):
    """The client knows one timeout for both; a server that does not take the call is given up sooner."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.pool.timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)


def connect(url: str) -> Elasticsearch:
    """A client for the server at this URL, which may hold user and password; nothing is sent yet."""
    return Elasticsearch(url, node_class=_Node, max_retries=0, retry_on_timeout=False)


@contextmanager
def reaching(alias: str) -> Iterator[None]:
    """Say what the client raises in our words.

    Raises:
        Unavailable: the server cannot be reached or cannot do it now, or nothing is behind the alias.
    """
    try:
        yield
    except NotFoundError as error:
        raise Unavailable(
            f"Elasticsearch has no index behind the alias {alias!r}. `serve` and `worker` make it when they start, "
            "`playhead index rebuild` at once."
        ) from error
    except ApiError as error:
        raise Unavailable(f"Elasticsearch cannot do this now ({error.status_code}): {reason(error)}") from error
    except TransportError as error:
        raise Unavailable(f"Elasticsearch cannot be reached: {error.message}.") from error


def reason(error: ApiError) -> str:
    """The server's own words, those of the root cause where it names one."""
    body = error.body
    try:
        return str(body["error"]["root_cause"][0]["reason"])
    except (TypeError, KeyError, IndexError):
        return str(error.error)
