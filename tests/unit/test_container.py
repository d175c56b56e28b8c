"""The container: what the settings choose, and what the subscriptions follow."""

from pathlib import Path

from dependency_injector import providers

from infrastructure.container import Container
from infrastructure.embedded.engine_threads import EngineThreads
from infrastructure.embedded.search_index import Fts5SearchIndex
from infrastructure.settings import Settings


def container_of(tmp_path: Path, **settings: str) -> Container:
    return Container(settings=providers.Object(Settings(_env_file=None, playhead_home=tmp_path, **settings)))


def test_without_further_settings_everything_is_embedded(tmp_path: Path) -> None:
    container = container_of(tmp_path)

    assert isinstance(container.dispatcher(), EngineThreads)
    assert isinstance(container.search_index(), Fts5SearchIndex)
    assert container.store().engine.dialect.name == "sqlite"


def test_each_pipeline_has_a_subscription_of_its_name_that_passes_over_direct_events(tmp_path: Path) -> None:
    subscriptions = container_of(tmp_path).subscriptions()

    assert subscriptions["flights"].selection.where == {"route": "flights", "direct": False}


def test_follow_ups_and_effects_pass_over_what_replays_made(tmp_path: Path) -> None:
    subscriptions = container_of(tmp_path).subscriptions()

    assert subscriptions["follow-ups"].selection.where == {"emits": True, "generation": 0}
    assert subscriptions["effects"].selection.where == {"calls": True, "generation": 0}
    # Of every generation: what an index shows of them is its view.
    assert subscriptions["index"].selection.where == {"status": "completed"}


def test_effects_are_claimed_one_context_at_a_time_and_each_kind_of_call_has_a_caller(tmp_path: Path) -> None:
    container = container_of(tmp_path)

    assert container.subscriptions()["effects"].batch == 1
    assert set(container.callers()) == {"http_call", "email"}


def test_a_replay_works_its_own_generation_and_rings_nobody(tmp_path: Path) -> None:
    container = container_of(tmp_path)
    container.store().upgrade()
    replay = container.replays().create(
        selection=container.subscriptions()["flights"].selection, fingerprints={}, count=0
    )

    engine = container.replay_run(replay).engine

    assert list(engine.works) == [f"replay-{replay.id}"]
    assert type(engine.dispatcher).__name__ == "Silence"
    container.store().close()
