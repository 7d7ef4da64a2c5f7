"""Replies belong to the process: they are saved as they come, end in one known way, and lose no text."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from codecoach.chat.messages import Message, MessageState, Role, Usage
from codecoach.coach import generation as generation_module
from codecoach.coach.generation import Generations
from codecoach.errors import InputRefused, ModelThrottled, StoreUnavailable, StreamBroken
from codecoach.models.port import ModelRequest, Turn, Waiting
from codecoach.store.conversations import Conversations
from codecoach.store.sqlite import SqliteTable
from tests.replies import ToldModel, eventually

ROOT = Path(__file__).parents[2]
REQUEST = ModelRequest("some.model", (Turn(Role.USER, "Hello?"),))
OFTEN_S = 0.02


class FlakyConversations(Conversations):
    """A store that fails when told to."""

    failing = False
    failures = 0

    def save(self, thread_id: str, message: Message) -> Message:
        if self.failing:
            self.failures += 1
            raise StoreUnavailable(detail="told to fail")
        return super().save(thread_id, message)


@pytest.fixture
def conversations(tmp_path) -> Iterator[FlakyConversations]:
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield FlakyConversations(table)
    generation_module.interrupt_all()
    table.close()


@pytest.fixture
def thread(conversations) -> str:
    return conversations.create("ann@example.com", "plain").id


@pytest.fixture
def model() -> ToldModel:
    return ToldModel()


@pytest.fixture
def generations(model, conversations) -> Generations:
    return Generations(model, conversations, save_s=OFTEN_S)


def new_reply(conversations: Conversations, text: str = "") -> Message:
    return Message(conversations.new_message_id(), Role.ASSISTANT, text, datetime.now(UTC), MessageState.STREAMING)


@pytest.fixture
def running(generations, conversations, thread):
    return generations.start(thread, REQUEST, new_reply(conversations))


def stored(conversations: Conversations, running: generation_module.Generation) -> Message:
    message = conversations.get_message(running.thread_id, running.message_id)
    assert message
    return message


def test_a_reply_is_stored_from_the_first_moment(running, conversations):
    assert stored(conversations, running).state is MessageState.STREAMING


def test_a_whole_reply_is_stored_with_what_the_service_said_of_it(running, model, conversations, generations):
    model.reply.say("Hel", "lo")
    model.reply.end()
    assert running.join(60)
    message = stored(conversations, running)
    assert (message.text, message.state, message.stop_reason) == ("Hello", MessageState.COMPLETE, "end_turn")
    assert message.usage == Usage(10, 20)
    assert running.snapshot().text == "Hello"
    eventually(lambda: generations.find(running.thread_id) is None)
    assert model.reply.closed.is_set()


def test_text_is_stored_while_the_reply_goes_on(running, model, conversations):
    model.reply.say("Half")
    eventually(lambda: stored(conversations, running).text == "Half")
    assert stored(conversations, running).state is MessageState.STREAMING


def test_a_silent_reply_shows_that_its_writer_lives(running, conversations):
    first = stored(conversations, running).updated_at
    eventually(lambda: stored(conversations, running).updated_at > first)
    assert stored(conversations, running).state is MessageState.STREAMING


def test_stop_keeps_what_has_come_and_hangs_up(running, model, conversations):
    model.reply.say("Half")
    eventually(lambda: running.snapshot().text == "Half")
    running.stop()
    model.reply.say(" and more")
    assert running.join(60)
    assert model.reply.closed.is_set()
    message = stored(conversations, running)
    assert (message.text, message.state, message.error) == ("Half", MessageState.STOPPED, None)


def test_stop_reaches_a_reply_that_another_process_writes(running, generations, conversations, thread):
    # This process' registry does not know the reply under that id, as in another process.
    generations.stop(thread, running.message_id + "0")
    assert not running.done
    conversations.request_stop(thread, running.message_id)
    assert running.join(60)
    assert stored(conversations, running).state is MessageState.STOPPED


def test_a_reply_whose_conversation_is_deleted_ends_and_leaves_nothing(running, conversations, thread):
    conversations.delete("ann@example.com", thread)
    assert running.join(60)
    assert conversations.get_message(thread, running.message_id) is None


def test_the_models_error_is_kept_beside_the_text_never_in_it(running, model, conversations):
    model.reply.say("Half")
    error = ModelThrottled()
    model.reply.tell(error)
    assert running.join(60)
    message = stored(conversations, running)
    assert (message.text, message.state) == ("Half", MessageState.FAILED)
    assert (message.error.key, message.error.reference) == ("model_throttled", error.reference)
    assert message.unfinished


def test_a_reply_that_is_cut_off_is_interrupted(running, model, conversations):
    model.reply.tell(StreamBroken())
    assert running.join(60)
    assert stored(conversations, running).state is MessageState.INTERRUPTED
    assert stored(conversations, running).error.key == "stream_broken"


def test_a_fault_of_ours_ends_the_reply_with_a_reference(running, model, conversations):
    model.reply.tell(ZeroDivisionError())
    assert running.join(60)
    assert stored(conversations, running).error.key == "internal"


def test_a_model_that_ends_without_an_end_mark_is_cut_off(running, model):
    model.reply.say("Half")
    model.reply.close()
    assert running.join(60)
    assert running.snapshot().state is MessageState.INTERRUPTED


def test_a_store_that_fails_meanwhile_does_not_end_the_reply(running, model, conversations):
    conversations.failing = True
    model.reply.say("Hello")
    eventually(lambda: conversations.failures >= 2)
    conversations.failing = False
    eventually(lambda: stored(conversations, running).text == "Hello")
    assert not running.done


def test_a_store_that_fails_at_the_end_is_tried_again(running, model, conversations, generations):
    conversations.failing = True
    model.reply.say("Hello")
    model.reply.end()
    assert running.join(60)
    assert running.snapshot().state is MessageState.COMPLETE
    # Its page can still find it, and the next reply may start.
    assert generations.find(running.thread_id) is running
    conversations.failing = False
    eventually(lambda: stored(conversations, running).state is MessageState.COMPLETE)


def test_an_end_that_could_not_be_stored_does_not_come_over_what_continues_it(
    running, model, conversations, generations, thread
):
    conversations.failing = True
    model.reply.say("Half")
    model.reply.end("max_tokens")
    assert running.join(60)
    conversations.failing = False
    onward = generations.start(thread, REQUEST, running.snapshot())
    model.reply.say(" and the rest")
    model.reply.end()
    assert onward.join(60)
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == f"reply-{running.message_id}"])
    assert stored(conversations, onward).text == "Half and the rest"


def test_a_reply_that_cannot_be_stored_at_first_is_not_started(generations, model, conversations, thread):
    conversations.failing = True
    with pytest.raises(StoreUnavailable):
        generations.start(thread, REQUEST, new_reply(conversations))
    assert generations.find(thread) is None


def test_a_thread_has_one_reply_at_a_time(running, generations, model, conversations, thread):
    with pytest.raises(InputRefused) as caught:
        generations.start(thread, REQUEST, new_reply(conversations))
    assert caught.value.key == "reply_running"
    assert generations.find(thread) is running
    model.replies[0].end()
    assert running.join(60)
    assert generations.start(thread, REQUEST, new_reply(conversations)) is not running


def test_every_page_that_waits_sees_the_text_and_the_end(running, model):
    seen: list[str] = []

    def look_on() -> None:
        text = ""
        while not running.done:
            text = running.wait(len(text), 10).text
        seen.append(running.snapshot().text)

    pages = [threading.Thread(target=look_on) for _ in range(20)]
    for page in pages:
        page.start()
    model.reply.say("Hel")
    assert running.wait(0, 10).text == "Hel"
    model.reply.say("lo")
    model.reply.end()
    for page in pages:
        page.join(60)
    assert seen == ["Hello"] * 20


def test_waiting_without_news_ends_in_time(running):
    assert running.wait(0, 0.01).text == ""


def test_a_throttled_call_shows_how_long_it_waits(running, model):
    assert running.waiting is None
    model.reply.tell(Waiting(60.0, 2))
    eventually(lambda: running.waiting)
    assert running.waiting.attempt == 2
    assert 0 < running.waiting.seconds <= 60
    model.reply.say("Hello")
    eventually(lambda: running.waiting is None)


def test_a_continued_reply_goes_on_in_the_same_message(generations, model, conversations, thread):
    message = replace(new_reply(conversations, "The answer is cl"), usage=Usage(1, 2))
    asked = replace(REQUEST, turns=(*REQUEST.turns, Turn(Role.ASSISTANT, message.text), Turn(Role.USER, "Go on")))
    running = generations.start(thread, asked, message)
    assert running.snapshot().text == "The answer is cl"
    model.reply.say("The answer ", "is clear.")
    model.reply.end()
    assert running.join(60)
    result = stored(conversations, running)
    assert (result.id, result.text, result.usage) == (message.id, "The answer is clear.", Usage(11, 22))


def test_after_a_prefill_nothing_is_taken_for_a_repetition(generations, model, conversations, thread):
    prefilled = replace(REQUEST, turns=(*REQUEST.turns, Turn(Role.ASSISTANT, "na na na na")))
    running = generations.start(thread, prefilled, new_reply(conversations, "na na na na"))
    model.reply.say(" na na na na")
    model.reply.end()
    assert running.join(60)
    assert running.snapshot().text == "na na na na na na na na"


def test_a_stop_that_was_meant_for_an_earlier_writer_is_forgotten(generations, model, conversations, thread):
    message = conversations.save(thread, new_reply(conversations, "Half"))
    conversations.request_stop(thread, message.id)
    running = generations.start(thread, REQUEST, message)
    saved = stored(conversations, running).updated_at
    eventually(lambda: stored(conversations, running).updated_at > saved)
    assert not running.done


def test_replies_are_marked_when_the_process_ends(running, model, conversations, generations):
    model.reply.say("Half")
    eventually(lambda: running.snapshot().text == "Half")
    generations.close()
    assert running.done
    message = stored(conversations, running)
    assert (message.text, message.state) == ("Half", MessageState.INTERRUPTED)


PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.replies import ToldModel, eventually
from tests.unit.test_generation import REQUEST, new_reply
from codecoach.coach.generation import Generations
from codecoach.store.conversations import Conversations
from codecoach.store.sqlite import SqliteTable

conversations, model = Conversations(SqliteTable(Path({file!r}))), ToldModel()
running = Generations(model, conversations, save_s=0.02).start("t", REQUEST, new_reply(conversations))
model.reply.say("Half")
eventually(lambda: conversations.get_message("t", running.message_id).text == "Half")
print(running.message_id, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["", "time.sleep(60)"], ids=["process ends", "process is killed"])
def test_what_was_saved_outlives_the_process(tmp_path, end):
    file = tmp_path / "codecoach.sqlite"
    program = PROGRAM.format(root=str(ROOT), file=str(file), end=end)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    message_id = process.stdout.readline().strip()
    if end:
        process.kill()
    process.wait()
    process.stdout.close()
    table = SqliteTable(file)
    # A killed writer is noticed by its silence; one that ends says so.
    silence = timedelta(seconds=11 if end else 0)
    message = Conversations(table, clock=lambda: datetime.now(UTC) + silence).get_message("t", message_id)
    table.close()
    assert (message.text, message.state) == ("Half", MessageState.INTERRUPTED)
