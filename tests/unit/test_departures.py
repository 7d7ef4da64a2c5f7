"""Deleting somebody takes everything they wrote, nothing of anybody else's, and goes on where it broke off."""

import json
import sqlite3
from datetime import UTC, datetime

import pytest

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach.bench import PLACES
from codecoach.lab.cases import Cases
from codecoach.lab.evaluation import Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store import keys
from codecoach.store.budgets import Budget, Budgets
from codecoach.store.case_sets import CaseSet
from codecoach.store.departures import Departures
from codecoach.store.evaluations import Evaluations
from codecoach.store.port import Item
from codecoach.store.programs import SourceFile
from codecoach.store.templates import Draft, Template
from codecoach.ui.administration import OPERATOR, Administration
from codecoach.ui.lab import compare, prompt
from tests.unit.store_tables import Died, WatchedTable
from tests.unit.test_store_programs import record

ANN, BOB = "ann@example.com", "bob@example.com"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LONG = "a long text\n" * 20_000


@pytest.fixture
def services(tmp_path):
    made = Services(Settings(data_dir=tmp_path, cache_dir=tmp_path))
    yield made
    made.close()


def live(services: Services, name: str) -> None:
    """Leave something of every kind behind."""
    services.accounts.create(name, "hash")
    services.sign_ins.open(name, "Firefox, Linux", "203.0.113.7")
    services.last_sign_ins.note(name)
    services.failures.begin(name, "")
    services.failures.clear(name, f"address of {name}")
    services.failures.begin(name, f"address of {name}")
    services.preferences.change(name, language="zh")
    services.preferences.record_test(name, "a model")
    Budgets(services.table).put(name, Budget(month_tokens=1_000), BOB)
    _talk(services, name)
    sheet = Sheet(LONG)
    template = services.templates.save(Template("", name, "Mine", sheet))
    services.templates.rename(name, template.id, "Still mine")
    services.templates.keep_draft(name, Draft(sheet, template.id))
    services.case_sets.save(CaseSet("", name, "Cases", Cases(("word",), ((LONG,),))))
    evaluations = Evaluations(services.table)
    made = evaluations.create(name, "Trials", Plan(Cases(("word",), (("a",),)), (Variant("v", sheet),)))
    evaluations.add(made, Outcome(0, 0, LONG, MessageState.COMPLETE))


def _talk(services: Services, name: str) -> None:
    for _ in range(3):
        made = services.conversations.create(name, "code_coach", "Buckets")
        message = Message(services.conversations.new_message_id(), Role.ASSISTANT, LONG, NOW)
        services.conversations.save(made.id, message)
        services.programs.add_run(keys.block(made.id, message.id, 0), record(stdout=LONG))
    program = services.programs.create(name, "python", (SourceFile("main.py", "print(1)"),))
    services.programs.add_run(program.id, record(stdout=LONG))
    for place in PLACES:
        message = Message(services.conversations.new_message_id(), Role.ASSISTANT, LONG, NOW)
        services.conversations.save(keys.bench(name, place), message)


def everything(services: Services) -> dict[tuple[str, str], dict]:
    """All items but what is nobody's, and the marks that a thread is gone, which expire."""
    with sqlite3.connect(services.settings.data_dir / "codecoach.sqlite") as connection:
        rows = connection.execute("SELECT CAST(partition AS TEXT), CAST(sort AS TEXT), data FROM items").fetchall()
    connection.close()
    return {
        (partition, sort): json.loads(data)
        for partition, sort, data in rows
        if sort != "gone"
        and partition not in ("layout", "revocations", "failures#" + keys.hashed(f"address address of {ANN}"))
    }


def test_everything_of_one_goes_and_nothing_of_another(services):
    live(services, BOB)
    before = everything(services)
    live(services, ANN)
    assert len(everything(services)) > 2 * len(before) - 5
    Administration(services, OPERATOR).delete("Ann@Example.com")
    assert everything(services) == before
    assert services.accounts.get(ANN) is None
    assert services.accounts.current(ANN) is None


def test_a_deletion_that_broke_off_is_seen_and_goes_on(services):
    live(services, BOB)
    before = everything(services)
    died = 0
    for calls in (0, 7, 25, 60, 90, 120):
        if services.accounts.get(ANN) is None:
            live(services, ANN)
        dying = WatchedTable(services.table)
        dying.dies_after = calls
        try:
            Departures(dying, services.accounts).delete(ANN, PLACES)
        except Died:
            died += 1
            assert services.accounts.get(ANN)  # it is still there to be deleted
        Departures(services.table, services.accounts).delete(ANN, PLACES)
        services.sign_ins.close_all(ANN)
        left = {key: data for key, data in everything(services).items() if not key[0].startswith("sign-in#")}
        assert left == {key: data for key, data in before.items() if not key[0].startswith("sign-in#")}
    assert died >= 4


def test_what_is_listed_without_being_there_does_not_keep_a_deletion_from_its_end(services):
    services.accounts.create(ANN, "hash")
    lost = services.programs.create(ANN, "python", (SourceFile("main.py", "print(1)"),))
    services.table.delete(keys.program_body(lost.id))
    services.table.put(Item(keys.program(ANN, "no id of ours"), {}))
    watched = WatchedTable(services.table)
    watched.dies_after = 300  # rather than for ever
    Departures(watched, services.accounts).delete(ANN, PLACES)
    assert everything(services) == {}


def test_more_than_a_page_of_everything_goes(services):
    services.accounts.create(ANN, "hash")
    for _ in range(105):
        services.conversations.create(ANN, "code_coach")
    Administration(services, OPERATOR).delete(ANN)
    assert everything(services) == {}


def test_whoever_gets_the_address_again_begins_anew_and_their_bench_works(services):
    live(services, ANN)
    administration = Administration(services, OPERATOR)
    administration.delete(ANN)
    administration.add(ANN)
    assert services.conversations.list(ANN).conversations == ()
    assert services.templates.list(ANN) == ()
    message = Message(services.conversations.new_message_id(), Role.ASSISTANT, "new", NOW)
    services.conversations.save(keys.bench(ANN, PLACES[0]), message)
    assert services.conversations.get_message(keys.bench(ANN, PLACES[0]), message.id)


def test_every_place_of_the_bench_is_known():
    columns = {compare._place(index) for index in range(4)}
    assert set(PLACES) == {prompt.PLACE, *columns}
