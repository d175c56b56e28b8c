"""RabbitMQ with a node, ports and a port mapper (epmd) of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from local_services.processes import Process, first_bytes, is_free, spawn, wait_for_answer
from local_services.service import Service

# Debian's wrapper on the PATH insists on its own user and state; the script behind it does not.
_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ(Service):
    name = "rabbitmq"
    variable = "TEST_RABBITMQ_URL"
    port_variable = "RABBITMQ_PORT"
    user = "rabbitmq"
    number_of_ports = 3

    def lacking(self) -> list[str]:
        return [] if _SCRIPT.exists() and shutil.which("epmd") else ["rabbitmq-server"]

    def url(self, port: int) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port}//"

    def launch(self, directory: Path, ports: list[int]) -> Iterator[Process]:
        port, mapper_port, node_port = map(str, ports)
        log, user = directory / "log", self.run_as()
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
        environment = {
            "HOME": str(directory),  # the node's cookie goes there
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": mapper_port,
            "ERL_FLAGS": "-start_epmd false",
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_DIST_PORT": node_port,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_NODENAME": "playhead@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # makes the script become the server instead of its parent
        }
        # A node would start a port mapper that outlives it (hence the flag above); ours ends with it.
        mapper = spawn(["epmd"], log=log, user=user, environment=environment)
        yield mapper
        wait_for_answer(lambda: not is_free(ports[1]), mapper, 10, log)
        yield spawn([_SCRIPT], log=log, user=user, environment=environment)

    def answers(self, url: str) -> bool:
        address = urlsplit(url)
        # A broker answers the protocol's header with connection.start, a method frame on channel 0 (AMQP 0-9-1, 4.2).
        greeting = first_bytes((str(address.hostname), address.port or 5672), b"AMQP\x00\x00\x09\x01")
        return greeting.startswith(b"\x01\x00\x00")
