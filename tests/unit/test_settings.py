"""Settings: precedence, and refusals that name the setting."""

from pathlib import Path

import pytest

from domain.errors import Misconfigured
from infrastructure.settings import Settings, load, typed


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_flag_goes_before_the_environment_and_the_environment_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=1001\nHOST=127.0.0.2\nLOG_LEVEL=error\n")
    monkeypatch.setenv("PORT", "1002")
    monkeypatch.setenv("HOST", "127.0.0.3")

    settings = load(port=1003, host=None)

    assert (settings.port, settings.host, settings.log_level) == (1003, "127.0.0.3", "error")
    assert settings.lease_seconds == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("UNKNOWN_TYPES", "perhaps"),
        ("DATABASE_URL", "mysql://host/name"),
        ("CELERY_BROKER_URL", "kafka://host"),
        ("PIPELINE_QUEUES", "flights"),
        ("ELASTICSEARCH_URL", "foo"),
        ("ELASTICSEARCH_URL", "localhost:9200"),
        ("ELASTICSEARCH_URL", "http://"),
        ("WEBHOOK_SECRET", "s3cret"),
        ("OUTGOING_ALLOW", "10.0.0.0/8,http://host"),
        ("SMTP_URL", "http://host"),
        ("EMAIL_FROM", "nobody"),
    ],
)
def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured, match=name):
        load()


def test_sqlite_with_a_broker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")

    with pytest.raises(Misconfigured, match="SQLite serves one process"):
        load()


def test_a_plain_postgres_url_gets_the_driver_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@127.0.0.1/x")

    assert load().store_url == "postgresql+psycopg://u:p@127.0.0.1/x"


def test_passwords_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cret@127.0.0.1/x")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:hidden@127.0.0.1/0")
    monkeypatch.setenv("SMTP_URL", "smtp://u:unseen@127.0.0.1")
    monkeypatch.setenv("WEBHOOK_SECRET", secret := "whsec_" + "c2VjcmV0" * 4)

    masked = load().masked()

    assert "s3cret" not in str(masked)
    assert "hidden" not in str(masked)
    assert "unseen" not in str(masked)
    assert secret not in str(masked)
    assert masked["DATABASE_URL"] == "postgresql+psycopg://u:***@127.0.0.1/x"


def test_receivers_and_recipients_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGOING_ALLOW", "hooks.local:9000, 10.0.0.0/8")
    monkeypatch.setenv("EMAIL_ALLOW", "example.org,a@example.com")

    assert load().outgoing_allow == ("hooks.local:9000", "10.0.0.0/8")
    assert load().email_allow == ("example.org", "a@example.com")


def test_modules_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINES", "shop.pipelines, crm.pipelines,")

    assert load().pipelines == ("shop.pipelines", "crm.pipelines")


def test_a_command_to_type_is_called_as_this_one_and_finds_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAYHEAD_HOME", raising=False)
    monkeypatch.delenv("PLAYHEAD_COMMAND", raising=False)
    assert typed("replay run 1") == "playhead replay run 1"

    monkeypatch.setenv("PLAYHEAD_HOME", "my state")
    monkeypatch.setenv("PLAYHEAD_COMMAND", "./scripts/run")
    assert typed("replay run 1") == "PLAYHEAD_HOME='my state' ./scripts/run replay run 1"
