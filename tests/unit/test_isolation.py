"""Nobody reaches what is another's, whatever ids they come up with; see `two_users` for what is done at random."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codecoach.coach import generation
from codecoach.errors import NotYours, VersionConflict
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store import keys, owned
from codecoach.store.conversations import Conversations
from codecoach.store.dynamodb import DynamoTable, client
from codecoach.store.dynamodb_table import ensure
from codecoach.store.owned import OwnedTable
from codecoach.store.port import Item, Key, Put, Table
from codecoach.store.programs import Programs, SourceFile
from codecoach.store.remembering import Remembering
from codecoach.store.sqlite import SqliteTable
from tests import moto_server
from tests.unit.two_users import ANN, BOB, MarkedModel, MarkedRunner, Spy, World

# In memory where that can be: ten thousand operations are not about the disk.
MEMORY = Path("/dev/shm")
SEEDS, STEPS, COMPARED_EVERY = 10, 1_000, 200


@pytest.fixture(autouse=True)
def _nobody_acts_afterwards() -> Iterator[None]:
    yield
    owned.act_as(None)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield made
    shutil.rmtree(made)


@contextmanager
def world(table: Table, folder: Path, seed: int) -> Iterator[World]:
    """Two users over a table, through the same guard that the app has."""
    services, spy = Services(Settings(data_dir=folder, cache_dir=folder)), Spy(table)
    services.__dict__ |= {"table": OwnedTable(Remembering(spy)), "model": MarkedModel(), "runner": MarkedRunner()}
    services.__dict__["my_aws"] = None  # programs here use the simulated AWS, or none
    yield World(services, spy, seed)
    generation.interrupt_all()
    services.close()


def live(world: World, steps: int) -> None:
    for number in range(1, steps + 1):
        world.step()
        if number % COMPARED_EVERY == 0:
            world.compare()
    world.compare()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_operation_of_one_user_reads_changes_or_reveals_what_is_the_others(folder, seed):
    with world(SqliteTable(folder / "codecoach.sqlite"), folder, seed) as made:
        live(made, STEPS)
        assert all(view.conversations and view.programs and view.templates for view in made.views.values())


def test_nor_does_one_over_dynamodb(folder, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with moto_server.running() as url:
        there = client("eu-west-1", url)
        ensure(there, "codecoach")
        with world(DynamoTable(there, "codecoach"), folder, seed=1) as made:
            live(made, 150)


def test_without_the_guard_the_same_operations_are_seen_to_cross(folder):
    spy = Spy(SqliteTable(folder / "codecoach.sqlite"))
    services = Services(Settings(data_dir=folder, cache_dir=folder))
    services.__dict__ |= {"table": spy, "model": MarkedModel(), "runner": MarkedRunner(), "my_aws": None}
    with pytest.raises(AssertionError):
        live(World(services, spy, seed=0), 200)
    generation.interrupt_all()
    services.close()


@pytest.fixture
def table(folder) -> Iterator[OwnedTable]:
    made = OwnedTable(SqliteTable(folder / "codecoach.sqlite"))
    yield made
    made.close()


def test_who_is_signed_out_reaches_nobodys_work(table):
    conversation = Conversations(table).create(ANN, "plain", "Mine")
    owned.act_as(owned.NOBODY)
    assert Conversations(table).get(ANN, conversation.id) is None
    assert Conversations(table).list(ANN).conversations == ()
    assert table.query(keys.thread(conversation.id)).items == ()
    with pytest.raises(NotYours):
        Conversations(table).create(ANN, "plain")


def test_what_was_deleted_elsewhere_is_refused_to_a_process_that_has_not_seen_whose_it_was(table):
    program = Programs(table).create(ANN, "python", (SourceFile("main.py", ""),))
    Programs(table).delete(ANN, program.id)
    owned.act_as(ANN)
    with pytest.raises(VersionConflict):
        Programs(table).save(program)


def test_a_program_can_not_be_taken_over_by_listing_it_among_ones_own(table):
    program = Programs(table).create(BOB, "python", (SourceFile("main.py", "his"),))
    owned.act_as(ANN)
    mine, body = Item(keys.program(ANN, program.id), {}), Item(keys.program_body(program.id), {"owner": ANN})
    for version, refused in ((0, VersionConflict), (program.version, VersionConflict), (None, NotYours)):
        with pytest.raises(refused):
            table.transact([Put(body, version), Put(mine)])
    assert table.get(keys.program_body(program.id)) is None
    owned.act_as(BOB)
    assert Programs(table).get(BOB, program.id) == program


def test_what_is_remembered_for_one_user_is_not_there_for_another(folder):
    table = OwnedTable(Remembering(SqliteTable(folder / "codecoach.sqlite")))
    owned.act_as(ANN)
    made = Conversations(table).create(ANN, "code_coach", "Mine")
    drawn = Conversations(table.lately(0.0))
    assert drawn.get(ANN, made.id)
    assert [one.id for one in drawn.list(ANN).conversations] == [made.id]
    owned.act_as(BOB)
    assert drawn.get(ANN, made.id) is None
    assert drawn.list(ANN).conversations == ()
    owned.act_as(None)
    table.close()


def test_on_a_page_nobody_takes_in_everybodys_items(table):
    owned.act_as(ANN)
    with pytest.raises(NotYours):
        list(table.scan())
    with pytest.raises(NotYours):
        table.restore([Item(keys.account(BOB), {})])


def test_which_sign_ins_a_user_has_is_nobodys_work(table):
    """Signing in, and an administrator who ends another's sign-ins, must reach them."""
    owned.act_as(owned.NOBODY)
    assert table.put(Item(keys.user_sign_in(ANN, "abc"), {})).version == 1
    owned.act_as(BOB)
    assert len(table.query(keys.user(ANN), keys.SIGN_IN).items) == 1
    assert table.query(keys.user(ANN)).items == ()
    assert table.get(Key(keys.user(ANN), "preferences")) is None


def test_on_behalf_of_a_user_an_administrator_reaches_what_is_theirs_and_afterwards_no_longer(table):
    conversation = Conversations(table).create(ANN, "plain", "Mine")
    owned.act_as(BOB)
    with owned.on_behalf_of(ANN):
        assert Conversations(table).get(ANN, conversation.id) == conversation
    assert owned.acting() == BOB
    assert Conversations(table).get(ANN, conversation.id) is None
