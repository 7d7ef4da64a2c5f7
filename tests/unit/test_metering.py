"""Every call to a model is counted once, however it ends: at its figures, else at what can be told of it."""

import ast
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from codecoach.chat.messages import Message, MessageState, Role, Usage
from codecoach.coach import generation as generation_module
from codecoach.coach import history
from codecoach.coach import meter as meter_module
from codecoach.coach.generation import Generation, Generations
from codecoach.coach.meter import AccountOf, Meter, priced
from codecoach.coach.metering import IMAGE_TOKENS, MeteredModel, MeteredReply, payload_tokens, request_tokens
from codecoach.errors import (
    BUDGET,
    BudgetReached,
    CodeCoachError,
    ModelThrottled,
    ModelUnavailable,
    StoreUnavailable,
    StreamBroken,
)
from codecoach.lab.sheet import Sheet
from codecoach.models import payloads
from codecoach.models.payloads import Image
from codecoach.models.port import NOBODY, Finished, ModelRequest, Payer, TextDelta, Turn, Waiting
from codecoach.settings import Settings
from codecoach.store import keys, owned
from codecoach.store.accounts import Accounts
from codecoach.store.conversations import Conversations
from codecoach.store.owned import OwnedTable
from codecoach.store.sqlite import SqliteTable
from codecoach.store.usage import NOTHING, Spent, UsageBook
from tests.replies import ToldModel, eventually

ROOT = Path(__file__).parents[2]
ANN = "ann@example.com"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"  # $1 and $5 per million
ASK = ModelRequest(HAIKU, (Turn(Role.USER, "How?" * 30),), max_tokens=1000, payer=Payer(ANN))
SENT = request_tokens(ASK)


class FlakyTable(SqliteTable):
    """A store that fails when told to."""

    failing = False
    losing = False
    faulty = False

    def put(self, item, expected_version=None):
        put = super().put(item, expected_version)
        if self.losing:
            raise StoreUnavailable(detail="the answer got lost")
        return put

    def transact(self, operations):
        if self.failing:
            raise StoreUnavailable(detail="told to fail")
        if self.faulty:
            raise ZeroDivisionError
        super().transact(operations)


@pytest.fixture
def table(tmp_path) -> Iterator[FlakyTable]:
    made = FlakyTable(tmp_path / "codecoach.sqlite")
    yield made
    generation_module.interrupt_all()
    made.close()


@pytest.fixture
def conversations(table) -> Conversations:
    return Conversations(table)


def meter_of(
    table, settings: Settings | None = None, later_s: float = 0.0, account_of: AccountOf | None = None
) -> Meter:
    """A meter of its own, as another process has it; perhaps with a clock that is ahead."""
    conversations = Conversations(table, lambda: datetime.now(UTC) + timedelta(seconds=later_s))
    clock = conversations._clock
    return Meter(UsageBook(table), settings or Settings(), conversations.get_message, clock, account_of)


@pytest.fixture
def meter(table) -> Meter:
    return meter_of(table)


@pytest.fixture
def model() -> ToldModel:
    return ToldModel()


@pytest.fixture
def metered(model, meter) -> MeteredModel:
    return MeteredModel(model, meter)


def total(meter: Meter) -> Spent:
    return meter.month(ANN, meter.this_month).total


def held(meter: Meter) -> int:
    return len(meter.month(ANN, meter.this_month).held)


def settled(meter: Meter) -> Spent:
    """What is counted once nothing is held any more."""
    eventually(lambda: not held(meter))
    return total(meter)


def test_a_whole_reply_counts_the_services_own_figures_and_carries_its_price(metered, model, meter):
    reply = metered.stream(ASK)
    assert (held(meter), total(meter)) == (1, NOTHING)
    model.reply.say("So.")
    model.reply.end()
    *_, last = reply
    assert last == Finished("end_turn", Usage(10, 20, 110))
    assert (held(meter), total(meter)) == (0, Spent(10, 20, 110, 1))
    reply.close()
    reply.settle()
    assert total(meter) == Spent(10, 20, 110, 1)


def test_what_is_asked_for_beforehand_is_as_much_as_the_budget_leaves(table, model):
    meter = meter_of(table, Settings(budget_month_tokens=SENT + 400))
    reply = MeteredModel(model, meter).stream(ASK)
    assert model.requests[0].max_tokens == 400
    with pytest.raises(BudgetReached):
        MeteredModel(model, meter).stream(ASK)
    assert len(model.requests) == 1
    reply.close()
    assert settled(meter) == NOTHING  # nothing had been sent


def test_a_reply_that_is_stopped_counts_what_was_sent_and_what_had_come(metered, model, meter):
    reply = metered.stream(ASK)
    model.reply.say("Half of it")
    next(reply)
    reply.close()
    assert reply.used == priced(HAIKU, SENT, history.tokens("Half of it"), estimated=True)
    spent = settled(meter)
    assert (spent.input_tokens, spent.output_tokens, spent.estimated) == (SENT, history.tokens("Half of it"), 1)


def test_a_reply_that_is_stopped_before_its_first_word_has_been_sent_all_the_same(metered, model, meter):
    reply = metered.stream(ASK)
    reading = threading.Thread(target=lambda: list(reply))
    reading.start()
    eventually(lambda: reply._begun)
    reply.close()
    reading.join(60)
    spent = settled(meter)
    assert (spent.input_tokens, spent.output_tokens, spent.calls) == (SENT, 0, 1)


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ([ModelThrottled()], (0, 0)),
        ([Waiting(1.0, 2), ModelThrottled()], (0, 0)),
        ([ModelUnavailable()], (0, 0)),
        ([ModelUnavailable("model_slow")], (SENT, 0)),
        ([StreamBroken()], (SENT, 0)),
        ([TextDelta("abc"), StreamBroken()], (SENT, 1)),
        ([TextDelta("abc"), ModelUnavailable()], (SENT, 1)),
        ([ZeroDivisionError()], (SENT, 0)),
        ([TextDelta("abc"), Finished("end_turn")], (SENT, 1)),
    ],
)
def test_what_the_service_refused_costs_nothing_and_what_broke_off_does(metered, model, meter, events, counted):
    reply = metered.stream(ASK)
    for event in events:
        model.reply.tell(event)
    with suppress(CodeCoachError, ZeroDivisionError):
        while not isinstance(next(reply), Finished):
            pass
    spent = total(meter)
    assert (spent.input_tokens, spent.output_tokens, held(meter)) == (*counted, 0)
    assert spent.estimated == spent.calls == (counted != (0, 0))


def test_stopped_while_the_service_refuses_for_now_it_costs_nothing(metered, model, meter):
    reply = metered.stream(ASK)
    model.reply.tell(Waiting(1.0, 2))
    next(reply)
    reply.close()
    assert settled(meter) == NOTHING


def test_what_the_store_does_not_take_is_counted_when_it_answers_again(metered, model, meter, table, monkeypatch):
    monkeypatch.setattr(meter_module, "FIRST_PAUSE_S", 0.01)
    reply = metered.stream(ASK)
    model.reply.end()
    table.failing = True
    list(reply)
    assert (held(meter), total(meter)) == (1, NOTHING)
    table.failing = False
    assert settled(meter) == Spent(10, 20, 110, 1)


def test_a_fault_of_our_own_while_counting_is_tried_again_too(metered, model, meter, table, monkeypatch):
    monkeypatch.setattr(meter_module, "FIRST_PAUSE_S", 60.0)
    reply = metered.stream(ASK)
    model.reply.end()
    table.faulty = True
    *_, last = reply
    assert last == Finished("end_turn", Usage(10, 20, 110))  # whoever reads the reply is not bothered with it
    assert (held(meter), total(meter)) == (1, NOTHING)
    table.faulty = False
    meter.close()
    assert (held(meter), total(meter)) == (0, Spent(10, 20, 110, 1))


def test_a_call_that_can_never_be_counted_is_given_up_and_its_lease_ends(metered, model, meter, table, monkeypatch):
    monkeypatch.setattr(meter_module, "FIRST_PAUSE_S", 0.01)
    reply, other = metered.stream(ASK), metered.stream(ASK)
    model.replies[0].end()
    table.faulty = True
    list(reply)
    eventually(lambda: list(meter._running) == [other._call.id])
    assert (meter._unsettled, meter._faults) == ({}, {})
    table.faulty = False
    meter._renew(list(meter._running.values()))
    assert held(meter) == 2
    other.close()
    eventually(lambda: held(meter) == 1)
    assert settled(meter_of(table, later_s=meter_module.LEASE_S + 1)).estimated == 1  # of the one that was given up


def test_a_call_that_came_to_nothing_because_an_answer_got_lost_is_given_back(metered, model, meter, table):
    table.losing = True
    with pytest.raises(StoreUnavailable):
        metered.stream(ASK)
    table.losing = False
    assert model.requests == []
    assert settled(meter) == NOTHING


def test_the_end_of_the_process_counts_what_it_still_can(metered, model, meter, table, monkeypatch):
    monkeypatch.setattr(meter_module, "FIRST_PAUSE_S", 60.0)
    reply = metered.stream(ASK)
    model.reply.end()
    table.failing = True
    list(reply)
    table.failing = False
    meter.close()
    assert (held(meter), total(meter)) == (0, Spent(10, 20, 110, 1))


def test_a_call_that_nobody_pays_is_a_mistake_and_the_command_lines_is_none(metered, model, meter):
    with pytest.raises(ValueError, match="who pays"):
        metered.stream(replace(ASK, payer=None))
    assert metered.stream(replace(ASK, payer=NOBODY)) is model.reply
    assert total(meter) == NOTHING


def test_a_pictures_bytes_are_not_taken_for_text():
    sheet = Sheet("What is this?", model_id="anthropic.claude-3-haiku-20240307-v1:0")
    without = payload_tokens(payloads.build(sheet))
    big = payload_tokens(payloads.build(sheet, (Image("png", b"x" * 3_000_000),)))
    assert IMAGE_TOKENS <= big - without < IMAGE_TOKENS + 100


# --- whose account is closed ---

CLOSED = {
    "disabled": lambda accounts: accounts.set_disabled(ANN, True),
    "deleted": lambda accounts: accounts.delete(ANN),
}


@pytest.mark.parametrize("closed", CLOSED)
def test_for_an_account_that_was_closed_no_model_is_asked_any_more(table, model, closed):
    mine = OwnedTable(table)
    accounts = Accounts(mine)
    accounts.create(ANN, "hash")
    meter = meter_of(mine, account_of=accounts.current)
    metered = MeteredModel(model, meter)
    with owned.on_behalf_of(ANN):
        list(metered_whole(metered, model))
        CLOSED[closed](accounts)  # while what she began goes on without her page
        with pytest.raises(BudgetReached) as caught:
            metered.stream(ASK)
    assert caught.value.key == f"{BUDGET}closed"
    assert len(model.requests) == 1
    assert (held(meter), total(meter)) == (0, Spent(10, 20, 110, 1))
    metered.stream(replace(ASK, payer=NOBODY))  # the command line has no account
    assert len(model.requests) == 2


def metered_whole(metered: MeteredModel, model: ToldModel) -> MeteredReply:
    reply = metered.stream(ASK)
    model.reply.end()
    return reply


# --- with generations, which write the reply into a message ---


def new_message(conversations: Conversations, text: str = "") -> Message:
    now = datetime.now(UTC)
    return Message(conversations.new_message_id(), Role.ASSISTANT, text, now, MessageState.STREAMING, HAIKU)


def begin(metered: MeteredModel, conversations: Conversations, text: str = "") -> Generation:
    thread = conversations.create(ANN, "plain").id
    request = replace(ASK, payer=Payer(ANN, thread))
    return Generations(metered, conversations, save_s=0.02).start(thread, request, new_message(conversations, text))


def stored(conversations: Conversations, running: Generation) -> Message:
    assert running.join(60)
    message = conversations.get_message(running.thread_id, running.message_id)
    assert message
    return message


def test_a_message_says_what_it_cost_and_its_conversation_what_all_of_them_did(metered, model, meter, conversations):
    running = begin(metered, conversations)
    model.reply.end()
    assert stored(conversations, running).usage == Usage(10, 20, 110)
    standing = meter.standing(ANN, running.thread_id)
    assert standing.state.conversation == standing.state.month.total == Spent(10, 20, 110, 1)


@pytest.mark.parametrize("end", ["stop", "break", "interrupt"])
def test_a_message_that_did_not_come_to_its_end_says_what_was_counted(metered, model, meter, conversations, end):
    running = begin(metered, conversations)
    model.reply.say("Half")
    eventually(lambda: running.snapshot().text)
    if end == "break":
        model.reply.tell(StreamBroken())
    else:
        getattr(running, end)()
    usage = stored(conversations, running).usage
    assert usage == priced(HAIKU, SENT, history.tokens("Half"), estimated=True)
    spent = settled(meter)
    assert (spent.tokens, spent.micro_dollars) == (usage.input_tokens + usage.output_tokens, usage.micro_dollars)


def test_a_message_that_is_continued_costs_both_parts(metered, model, meter, conversations):
    running = begin(metered, conversations)
    model.reply.say("Half")
    eventually(lambda: running.snapshot().text)
    running.stop()
    first = stored(conversations, running)
    again = Generations(metered, conversations, save_s=0.02)
    request = replace(ASK, turns=(*ASK.turns, Turn(Role.ASSISTANT, "Half")), payer=Payer(ANN, running.thread_id))
    running = again.start(running.thread_id, request, first)
    model.reply.end()
    assert stored(conversations, running).usage == first.usage + Usage(10, 20, 110)
    assert settled(meter).micro_dollars == (first.usage.micro_dollars or 0) + 110


def test_a_reply_that_cannot_begin_holds_nothing_back(metered, meter, table, conversations, model):
    running = begin(metered, conversations)
    with pytest.raises(Exception, match="reply_running"):
        Generations(metered, conversations).start(
            running.thread_id, replace(ASK, payer=Payer(ANN, running.thread_id)), new_message(conversations)
        )
    eventually(lambda: held(meter) == 1)
    model.replies[0].end()
    assert settled(meter) == Spent(10, 20, 110, 1)


# --- processes ---

PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.unit.test_metering import *

table = SqliteTable(Path({file!r}))
conversations, model = Conversations(table), ToldModel()
metered = MeteredModel(model, meter_of(table))
"""
KILLED = """
running = begin(metered, conversations)
model.reply.say({text!r})
eventually(lambda: conversations.get_message(running.thread_id, running.message_id).text)
print(running.thread_id, flush=True)
time.sleep(60)
"""
COUNTS = """
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    reply = metered.stream(ASK)
    model.reply.end()
    list(reply)
"""


def process(file: Path, what: str) -> subprocess.Popen:
    program = PROGRAM.format(root=str(ROOT), file=str(file)) + what
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        pipe.close()


def test_what_a_killed_process_had_written_is_counted_by_the_next_who_looks(tmp_path, table):
    killed = process(tmp_path / "codecoach.sqlite", KILLED.format(text="Half of it"))
    thread = killed.stdout.readline().strip()
    killed.kill()
    end(killed)
    soon, later = meter_of(table), meter_of(table, later_s=meter_module.LEASE_S + 1)
    assert (held(soon), total(soon)) == (1, NOTHING)
    usage = priced(HAIKU, SENT, history.tokens("Half of it"), estimated=True)
    assert total(later) == Spent(usage.input_tokens, usage.output_tokens, usage.micro_dollars, 1, estimated=1)
    assert later.standing(ANN, thread).state.conversation == total(later)
    assert held(later) == 0


def test_of_a_dead_call_that_left_nothing_the_most_is_counted_and_it_no_longer_stands_in_the_way(table, model):
    limited = Settings(budget_month_tokens=3 * (SENT + 1000))
    for _ in range(2):
        dying = meter_of(table, limited)
        MeteredModel(model, dying).stream(ASK)
        dying._running.clear()  # its process dies before the reply is read, and renews nothing any more
    later = meter_of(table, limited, later_s=meter_module.LEASE_S + 1)
    reply = MeteredModel(model, later).stream(ASK)
    assert held(later) == 1
    reply.close()
    assert (total(later).tokens, total(later).estimated) == (2 * (SENT + 1000), 2)


def test_an_administrator_who_looks_counts_what_another_user_had_been_written(table, conversations, model):
    dying = meter_of(table)
    running = begin(MeteredModel(model, dying), conversations)
    model.reply.say("Half")
    eventually(lambda: conversations.get_message(running.thread_id, running.message_id).text)
    later = meter_of(OwnedTable(table), later_s=meter_module.LEASE_S + 1)
    with owned.on_behalf_of("root@example.com"):
        (month,) = later.everybody(later.this_month)
    assert (month.total.output_tokens, month.total.estimated, month.held) == (history.tokens("Half"), 1, ())
    assert later.standing(ANN, running.thread_id).state.conversation == month.total
    model.reply.end()  # it lives after all
    assert running.join(60)
    assert total(dying) == Spent(10, 20, 110, 1)


def test_what_is_written_into_a_conversation_that_its_user_deletes_is_counted(table, model):
    mine = OwnedTable(table)
    conversations, meter = Conversations(mine), meter_of(mine)
    with owned.on_behalf_of(ANN):
        running = begin(MeteredModel(model, meter), conversations)
        model.reply.say("Half")
        conversations.delete(ANN, running.thread_id)
        running.stop()
    spent = settled(meter)
    assert (spent.input_tokens, spent.calls) == (SENT, 1)
    eventually(lambda: table.get(keys.spent(running.thread_id)) is None)  # deleted right after it was counted
    running.let_go()


def test_two_processes_that_count_at_once_lose_nothing(tmp_path, table, meter):
    both = [process(tmp_path / "codecoach.sqlite", COUNTS) for _ in range(2)]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        end(one)
    assert [one.returncode for one in both] == [0, 0]
    assert (total(meter), held(meter)) == (Spent(400, 800, 4400, 40), 0)


def test_the_calls_of_a_long_reply_are_renewed(table, model, monkeypatch):
    monkeypatch.setattr(meter_module, "RENEW_S", 0.02)
    meter = meter_of(table)
    reply = MeteredModel(model, meter).stream(ASK)
    (first,) = meter.month(ANN, meter.this_month).held
    eventually(lambda: meter.month(ANN, meter.this_month).held[0].until > first.until)
    reply.close()
    settled(meter)


def test_what_a_page_asks_is_not_read_again_and_again(table, meter, metered, model):
    meter.standing(ANN)
    reads = []
    batch_get = table.batch_get
    table.batch_get = lambda wanted: reads.append(wanted) or batch_get(wanted)
    for _ in range(50):
        meter.standing(ANN)
    assert reads == []
    reply = metered.stream(ASK)
    model.reply.end()
    list(reply)
    reads.clear()
    assert meter.standing(ANN).state.month.total == Spent(10, 20, 110, 1)
    assert len(reads) == 1


# --- no way round it ---

# Who may ask a model without counting: what counts, the adapters, and the command line. The rest of local/ is the other end
# of the wire.
UNCOUNTED = ("coach/metering.py", "models/", "local/", "services.py", "cli")
ASKING = {"stream", "submit", "converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"}
# Calls of the same names that are none, or that go by what counts: they are given `metered_model` or `metered_laboratory`.
COUNTED = {
    ("coach/generation.py", "self._model.stream"),
    ("coach/bench.py", "self._laboratory.submit"),
    ("coach/trials.py", "self._laboratory.submit"),
    ("ui/lab/compare.py", "services().bench.submit"),
    ("ui/lab/prompt.py", "services().bench.submit"),
    ("ui/routes.py", "request.stream"),
    ("runner/piston/server.py", "self._client.stream"),
}


def asked_in(file: Path) -> set[str]:
    """What may ask a model in a file: calls, and the parts of `Services` that do not count."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKING:
            found.add(ast.unparse(node.func))
        raw = isinstance(node, ast.Attribute) and node.attr in ("model", "laboratory", "clients")
        if raw and ast.unparse(node.value) in ("services()", "services", "self._services", "session.services()"):
            found.add(ast.unparse(node))
    return found


def test_nothing_asks_a_model_but_through_what_counts():
    files = [*(ROOT / "codecoach").rglob("*.py"), *(ROOT / "pages").glob("*.py")]
    names = {file: str(file.relative_to(ROOT)).removeprefix("codecoach/") for file in files}
    found = {(name, call) for file, name in names.items() if not name.startswith(UNCOUNTED) for call in asked_in(file)}
    assert found - COUNTED == set(), "ask through services().metered_model or metered_laboratory"
    assert COUNTED - found == set(), "no longer there: take it from the list"
