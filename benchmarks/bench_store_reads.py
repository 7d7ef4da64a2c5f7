"""How often pages ask the store, for a user with 500 conversations: opening one, and a rerun that changes nothing."""

import tempfile
from pathlib import Path

from benchmarks import store_reads
from benchmarks.rows import Row
from codecoach.i18n import Notice
from codecoach.models.port import ModelCard
from codecoach.services import DATABASE, Services
from codecoach.settings import Settings
from codecoach.store.owned import OwnedTable
from codecoach.store.remembering import Remembering
from codecoach.store.sqlite import SqliteTable
from codecoach.ui import session

USER = "ann@example.com"


class NoModels:
    """A service that offers no model; whether it is asked is nothing to the store."""

    def cards(self) -> tuple[ModelCard, ...]:
        return ()

    def notes(self) -> tuple[Notice, ...]:
        return ()

    def why_unlisted(self) -> None:
        return None

    def ping(self) -> None:
        """It answers."""


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        table = SqliteTable(Path(folder) / DATABASE)
        watched = store_reads.Watched(table)
        services = Services(Settings(data_dir=Path(folder), cache_dir=Path(folder), model=store_reads.MODEL))
        services.__dict__ |= {"table": OwnedTable(Remembering(watched)), "directory": NoModels()}
        session.install(services)
        try:
            return _rows(services, watched)
        finally:
            session.install(None)
            services.close()
            table.close()


def _rows(services: Services, watched: store_reads.Watched) -> list[Row]:
    services.accounts.create(USER, "!", ("admin",))
    furnished = store_reads.furnish(services, USER, store_reads.MUCH)
    rows: list[Row] = []
    for name, scene in store_reads.SCENES.items():
        test, opening = store_reads.opened(scene, services.sign_ins.open(USER), furnished, watched)
        reads, more = opening.of_page, opening.of_session
        rerun = store_reads.again(test, watched)
        session_too = f" (of the session {more}, {rerun.of_session} at the rerun)"
        at_most = f"at most {scene.opening}"
        rows += [
            Row(f"store: {name}, opening{session_too}", reads, "reads", at_most, reads <= scene.opening),
            Row(f"store: {name}, rerun", rerun.of_page, "reads", "0", rerun.of_page == 0),
        ]
    return rows
