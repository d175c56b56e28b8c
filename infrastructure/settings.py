"""Settings: the only reader of the environment. A wrong value stops the start, with its name."""

import ipaddress
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.errors import Misconfigured
from domain.outgoing import allowed_of
from infrastructure.http_calls.signature import secrets_of
from infrastructure.masking import Mask, mask_of_values, masked
from infrastructure.smtp.server import MailServer, domain_of

DEFAULT_QUEUE = "playhead"
_HTTP_URL = re.compile(r"https?://[^/\s]+(/\S*)?")
SECRET: dict[str, Any] = {"secret": True}
"""What a field says of itself (`json_schema_extra`) whose whole value is a secret."""
_READERS: Mapping[str, Callable[[Any], object]] = {
    "webhook_secret": secrets_of,
    "outgoing_allow": lambda places: [allowed_of(place) for place in places],
    "smtp_url": MailServer.of,
    "email_from": domain_of,
}
"""Who reads a setting later, and refuses one that cannot be read."""


class Settings(BaseSettings):
    """Every setting of the service. The environment's names are the fields' names in capitals.

    Precedence: command-line flag, environment, `.env` in the working directory, default.
    """

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    playhead_home: Path = Field(
        Path(".playhead"),
        description="Where the embedded service keeps its state: the database and search files.",
    )
    database_url: str = Field(
        "",
        description="The database, as SQLAlchemy URL: postgresql+psycopg://user:password@host/name or "
        "sqlite:////absolute/path. Empty: a SQLite file in PLAYHEAD_HOME.",
    )
    celery_broker_url: str = Field(
        "",
        description="Redis (redis://) or RabbitMQ (amqp://). Empty: no broker, the engine runs in the API process.",
    )
    celery_result_backend: str = Field(
        "",
        description="Where Celery keeps the answers of tasks that clients send. Empty: in the broker where that is "
        "Redis, else nowhere. Nothing depends on them.",
    )
    elasticsearch_url: str = Field(
        "", description="Elasticsearch 8 or 9. Empty: the embedded search, a SQLite file in PLAYHEAD_HOME."
    )
    elasticsearch_index: str = Field("playhead", description="The alias under which results are searched.")
    elasticsearch_shards: int = Field(
        1,
        ge=1,
        le=1024,
        description="Primary shards of an index that is made from now on; `playhead index rebuild` makes one.",
    )
    host: str = Field("127.0.0.1", description="The address that the API listens on.")
    port: int = Field(8080, ge=0, le=65535, description="The port that the API listens on; 0 picks a free one.")
    api_keys: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether a request needs a key (playhead keys create). auto: unless HOST is a loopback address. "
        "off is refused on any other HOST.",
    )
    playhead_api_key: str = Field(
        "", description="The key that playhead send and other clients of ours show.", json_schema_extra=SECRET
    )
    rabbitmq_queues: Literal["classic", "quorum"] = Field(
        "classic",
        description="The type of queues that are made on RabbitMQ. quorum: its cluster may lose a node.",
    )
    pipelines: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Modules with a PIPELINES tuple, separated by commas, beside the installed packages."
    )
    pipeline_queues: Annotated[dict[str, str], NoDecode] = Field(
        {},
        description='The Celery queue of a pipeline, as JSON: {"flights": "bulk"}. '
        f"Others have their own: {DEFAULT_QUEUE}.NAME.",
    )
    unknown_types: Literal["refuse", "keep"] = Field(
        "refuse",
        description="What becomes of an event whose type no pipeline accepts: refused, or kept unrouted.",
    )
    backlog_limit: int = Field(
        1_000_000,
        ge=0,
        description="Events of one pipeline that may wait; more are refused (429) until a fifth is done. 0: no limit.",
    )
    feed_streams: int = Field(
        100,
        ge=0,
        description="Streams of GET /events (server-sent events) that one process serves at a time; more are refused "
        "(429). 0: none.",
    )
    worker_concurrency: int = Field(2, ge=1, le=64, description="Processes of a Celery worker.")
    worker_max_tasks_per_child: int = Field(10_000, ge=1, description="Turns after which a worker process is renewed.")
    engine_threads: int = Field(2, ge=1, le=16, description="Threads of the embedded engine.")
    lease_seconds: float = Field(30.0, ge=1, le=3600, description="How long a claim is held without a heartbeat.")
    watchdog_seconds: float = Field(
        30.0,
        ge=1,
        le=3600,
        description="How long an engine may leave work that it could claim: then a worker ends, and /livez says 503.",
    )
    durability: Literal["durable", "relaxed"] = Field(
        "durable",
        description="durable: refuse to start on a database that may lose what it acknowledged. relaxed: for trials.",
    )
    claim_batch: int = Field(1000, ge=1, le=5000, description="Events that one claim covers at the most.")
    webhook_secret: str = Field(
        "",
        json_schema_extra=SECRET,
        description="Signs outgoing HTTP calls as Standard Webhooks says: whsec_ and base64; several, separated by "
        "spaces, while receivers change over. Empty: unsigned.",
    )
    outgoing_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Private receivers that HTTP calls may reach beside the public internet: hosts or networks, each "
        "with a port or any, separated by commas: hooks.local:9000, 10.0.0.0/8.",
    )
    smtp_url: str = Field(
        "",
        description="The mail server: smtp://user:password@host:587?starttls=1 or smtps://host. Empty: e-mails fail.",
    )
    email_from: str = Field("", description="The address that e-mails are from.")
    email_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses, and domains of addresses, that may be written to, separated by commas. Empty: all."
    )
    seal_anchor: str = Field(
        "",
        description="A file outside the database, best on another machine's disk, to which a line is added for each "
        "seal; `playhead verify` compares. Empty: none.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console for a terminal, JSON lines otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level logged.")

    @field_validator("pipelines", "outgoing_allow", "email_allow", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("pipeline_queues", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        try:
            return from_json(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"is not JSON: {error}") from error

    @field_validator("webhook_secret", "outgoing_allow", "smtp_url", "email_from")
    @classmethod
    def _readable(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            _READERS[str(info.field_name)](value)
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value.startswith(("postgres://", "postgresql://")):
            value = "postgresql+psycopg://" + value.split("://", 1)[1]
        if value and not value.startswith(("postgresql+psycopg://", "sqlite:///")):
            raise ValueError("must begin with postgresql+psycopg:// or sqlite:///")
        return value

    @field_validator("celery_broker_url")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "amqp://", "amqps://", "sentinel://")):
            raise ValueError("must begin with redis://, rediss://, sentinel://, amqp:// or amqps://")
        return value

    @field_validator("elasticsearch_url")
    @classmethod
    def _known_search(cls, value: str) -> str:
        if value and not _HTTP_URL.fullmatch(value):
            raise ValueError("must be as http://host:9200 or https://user:password@host:9200")
        return value

    @model_validator(mode="after")
    def _no_broker_for_sqlite(self) -> "Settings":
        if self.celery_broker_url and not self.is_postgres:
            raise ValueError(
                "CELERY_BROKER_URL is set but DATABASE_URL names no PostgreSQL: SQLite serves one process. "
                "Set DATABASE_URL, or leave the broker out."
            )
        return self

    @model_validator(mode="after")
    def _no_open_door(self) -> "Settings":
        if self.api_keys == "off" and not self._is_loopback:
            raise ValueError(
                f"API_KEYS=off, and HOST {self.host} is no loopback address: whoever reaches this machine could append "
                "events and read all of them. Leave API_KEYS out and make keys (playhead keys create), or set HOST to "
                "127.0.0.1."
            )
        return self

    @property
    def _is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def needs_keys(self) -> bool:
        """Whether requests need a key."""
        return self.api_keys == "on" or (self.api_keys == "auto" and not self._is_loopback)

    @property
    def is_postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self.database_url.startswith("postgresql")

    @property
    def result_backend(self) -> str | None:
        """Where Celery keeps answers, None for nowhere."""
        redis_broker = self.celery_broker_url if self.celery_broker_url.startswith("redis") else ""
        return self.celery_result_backend or redis_broker or None

    @property
    def store_url(self) -> str:
        """The database that is used: the one named, else the embedded file."""
        return self.database_url or f"sqlite:///{(self.playhead_home / 'playhead.db').absolute()}"

    def masked(self) -> dict[str, Any]:
        """All settings by their environment names, every secret covered."""
        values, mask = self.model_dump(mode="json"), self.mask()
        return {name.upper(): masked(value, mask, whole=name in _secrets()) for name, value in values.items()}

    def mask(self) -> Mask:
        """What covers every secret of these settings in a text."""
        return mask_of_values(self.model_dump(mode="json"), _secrets())

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield from self.masked().items()


def _secrets() -> set[str]:
    return {name for name, field in Settings.model_fields.items() if field.json_schema_extra == SECRET}


def load(**flags: Any) -> Settings:
    """Read the settings; flags that are not None go before the environment.

    Raises:
        Misconfigured: a value is wrong; the message names each setting.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        lines = [
            f"{'_'.join(map(str, item['loc'])).upper() or 'settings'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise Misconfigured("; ".join(lines)) from None


def origin_of(name: str, environment: Mapping[str, str]) -> str:
    """Where the value of a setting, by its environment name, comes from: environment, .env or default."""
    if any(key.upper() == name for key in environment):
        return "environment"
    written = dotenv_values(str(Settings.model_config["env_file"]))
    return ".env" if any(key.upper() == name for key in written) else "default"


def typed(arguments: str) -> str:
    """A `playhead` command as the user who reads it can type it: called as now, on the same state."""
    home = os.environ.get("PLAYHEAD_HOME")
    prefix = f"PLAYHEAD_HOME={shlex.quote(home)} " if home else ""
    return f"{prefix}{os.environ.get('PLAYHEAD_COMMAND', 'playhead')} {arguments}"
