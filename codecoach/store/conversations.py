"""Conversations and their messages."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from codecoach.chat.messages import Conversation, Message, MessageState
from codecoach.errors import InputRefused, ItemRefused
from codecoach.store import keys
from codecoach.store.changing import again
from codecoach.store.large import LargeItems
from codecoach.store.port import Delete, Item, Json, Key, Put, Table
from codecoach.store.purging import Purging
from codecoach.store.records import from_conversation, from_message, now, to_conversation, to_message

# A reply is saved every 2 s; one that was not saved for so long has lost its writer.
STALE = timedelta(seconds=10)
# A writer asks every 2 s; older requests were meant for one that is dead.
STOP_KEPT_S = 60
SEARCHED_CONVERSATIONS = 200
SEARCHED_MESSAGES = 1000
_SEARCH_PAGE = 50


@dataclass(frozen=True)
class ConversationPage:
    """Conversations, the newest change first; `next` continues, None at the end."""

    conversations: tuple[Conversation, ...]
    next: str | None = None


@dataclass(frozen=True)
class MessagePage:
    """Messages, oldest first; `before` asks for those before them, None where there are none."""

    messages: tuple[Message, ...]
    before: str | None = None


@dataclass(frozen=True)
class SearchResult:
    """What a search found, the newest change first; `more`: it stopped at its bounds, older ones were not looked at."""

    conversations: tuple[Conversation, ...]
    more: bool = False


class Conversations:
    """The conversations of all users.

    Messages belong to a thread: a conversation, or a program of the Editor. Methods that take a thread's id do not ask
    whose it is: the table does (`store.owned`), and ids cannot be guessed.
    """

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._table = table
        self._large = LargeItems(table)
        self._purging = Purging(table)
        self._clock = clock

    # --- conversations ---

    def create(self, owner: str, assistant_id: str, title: str = "") -> Conversation:
        """A new, empty conversation."""
        moment = self._clock()
        conversation = Conversation(keys.new_id(), owner, title, assistant_id, moment, moment, version=1)
        self._table.transact([Put(_head(conversation), 0), Put(_recent(conversation), 0)])
        return conversation

    def get(self, owner: str, conversation_id: str) -> Conversation | None:
        """The conversation, if it is this owner's."""
        item = self._table.get(keys.conversation(owner, conversation_id)) if keys.is_id(conversation_id) else None
        return to_conversation(item.data) if item else None

    def list(self, owner: str, limit: int = 50, after: str | None = None) -> ConversationPage:
        """An owner's conversations, the newest change first, without reading any message."""
        page = self._table.query(keys.user(owner), keys.RECENT, limit=limit, after=after, newest_first=True)
        return ConversationPage(tuple(to_conversation(item.data) for item in page.items), page.next)

    def rename(self, owner: str, conversation_id: str, title: str, was: str | None = None) -> None:
        """Give a conversation another title; its place in the list stays.

        Raises `InputRefused` where it is gone, or has neither the title that it `was` seen with nor the new one.
        """

        def how(old: Conversation) -> Conversation:
            if was is not None and old.title not in (was, title):
                raise InputRefused("renamed_elsewhere", name=old.title)
            return dataclasses.replace(old, title=title)

        self._change(owner, conversation_id, how)

    def set_assistant(self, owner: str, conversation_id: str, assistant_id: str) -> None:
        """Let another assistant answer from now on. Raises `InputRefused` where it is gone."""
        self._change(owner, conversation_id, lambda old: dataclasses.replace(old, assistant_id=assistant_id))

    def touch(self, owner: str, conversation_id: str) -> None:
        """Move a conversation to the top of the list. Raises `InputRefused` where it is gone."""
        self._change(owner, conversation_id, lambda old: dataclasses.replace(old, updated_at=self._clock()))

    def delete(self, owner: str, conversation_id: str) -> None:
        """Delete a conversation with all that is in its thread and the runs of its code; deleting what is not there is no error.

        It leaves the list at once. Its messages follow, a hundred at a time; should we die before the last, the next
        deletion of this owner finishes it.
        """
        again(lambda: self._unlist(owner, conversation_id))
        self._purging.finish(owner)

    def search(self, owner: str, words: str) -> SearchResult:
        """Conversations with all words in the title, or all in one message; letter case does not matter.

        Looks at the newest `SEARCHED_CONVERSATIONS`, and in them at `SEARCHED_MESSAGES` altogether.
        """
        wanted = words.casefold().split()
        page = self.list(owner, limit=SEARCHED_CONVERSATIONS)
        if not wanted:
            return SearchResult(page.conversations, page.next is not None)
        found, left, more = [], SEARCHED_MESSAGES, page.next is not None
        for conversation in page.conversations:
            if _holds(conversation.title, wanted):
                found.append(conversation)
                continue
            hit, read, cut = self._search_messages(conversation.id, wanted, left)
            left -= read
            more = more or cut
            if hit:
                found.append(conversation)
        return SearchResult(tuple(found), more)

    # --- messages ---

    def new_message_id(self, after: str = "") -> str:
        """A new id; it orders behind all that this process made and behind the one given, should clocks differ."""
        return keys.time_ordered_id(after)

    def save(self, thread_id: str, message: Message) -> Message:
        """Insert or replace a message, and return it as kept (`updated_at` of a STREAMING one is now).

        A crash leaves the old text or the new one, whole. What belongs to a deleted conversation, or is itself deleted
        while its reply streams, is not kept: it would come back as a ghost. Raises `ItemRefused` for an id that is none.
        """
        if not keys.is_id(message.id):
            raise ItemRefused(detail=f"{message.id!r:.80} is no message id")
        if message.state is MessageState.STREAMING:
            message = dataclasses.replace(message, updated_at=self._clock())
        key, stop = keys.message(thread_id, message.id), keys.stop(thread_id, message.id)

        def attempt() -> None:
            stored = self._table.batch_get([key, stop])
            if not (stop in stored and stored[stop].data["discard"]):
                self._large.put_over(stored.get(key), Item(key, from_message(message)))
                # What replaces a message conflicts with its deletion; what is new conflicts with nothing, so it is asked after.
                if key not in stored and self._table.get(keys.gone(thread_id)):
                    self._large.delete(key)
            if stop in stored and message.state is not MessageState.STREAMING:
                self._table.delete(stop)  # it has been obeyed, and must not stop what continues this message

        again(attempt)
        return message

    def messages(self, thread_id: str, limit: int = 50, before: str | None = None) -> MessagePage:
        """The newest messages of a thread, or the newest before what `MessagePage.before` said."""
        page = self._large.query(keys.thread(thread_id), keys.MESSAGE, limit=limit, after=before, newest_first=True)
        return MessagePage(tuple(self._message(item) for item in reversed(page.items)), page.next)

    def get_message(self, thread_id: str, message_id: str) -> Message | None:
        """The message, or None."""
        item = self._large.get(keys.message(thread_id, message_id))
        return self._message(item) if item else None

    def delete_message(self, thread_id: str, message_id: str) -> None:
        """Delete a message and the runs of its code; deleting what is not there is no error. A reply that still streams stops."""
        key = keys.message(thread_id, message_id)
        self._discard_streaming(thread_id, self._table.get(key))
        self._purging.delete_runs(thread_id, f"{message_id}.")
        self._large.delete(key)
        self._purging.delete_runs(thread_id, f"{message_id}.")  # one that was kept before the message was gone

    def delete_from(self, thread_id: str, message_id: str) -> None:
        """Delete a message and all later ones, the newest first: a crash leaves the beginning of the thread, without gaps."""
        first = keys.message(thread_id, message_id)
        newest = self._table.query(first.partition, keys.MESSAGE, limit=1, newest_first=True).items
        self._discard_streaming(thread_id, *(item for item in newest if item.key.sort >= first.sort))
        self._purging.delete_runs(thread_id, first=message_id)
        self._large.delete_range(first.partition, keys.MESSAGE, first.sort)
        self._large.delete_range(first.partition, keys.PART + keys.MESSAGE, keys.PART + first.sort)
        self._purging.delete_runs(thread_id, first=message_id)  # as in `delete_message`

    # --- stopping a reply, from whatever process ---

    def request_stop(self, thread_id: str, message_id: str) -> None:
        """Ask the process that writes this reply to stop; where the reply has ended already, nothing happens."""
        item = self._table.get(keys.message(thread_id, message_id))
        if item is None or _streams(item):
            self._ask_to_stop(thread_id, message_id, discard=False)

    def stop_requested(self, thread_id: str, message_id: str) -> bool:
        """True once somebody wants this reply stopped, or has deleted it or its conversation.

        Saving the message in its last state takes the request back; so does `clear_stop`.
        """
        return bool(self._table.batch_get([keys.stop(thread_id, message_id), keys.gone(thread_id)]))

    def clear_stop(self, thread_id: str, message_id: str) -> None:
        """Take back a request that was meant for an earlier, dead writer of this message."""
        self._table.delete(keys.stop(thread_id, message_id))

    # --- inside ---

    def _message(self, item: Item) -> Message:
        message = to_message(item.key.sort.removeprefix(keys.MESSAGE), item.data)
        stale = self._clock() - (message.updated_at or message.created_at) > STALE
        if message.state is MessageState.STREAMING and stale:
            return dataclasses.replace(message, state=MessageState.INTERRUPTED)
        return message

    def _change(self, owner: str, conversation_id: str, how: Callable[[Conversation], Conversation]) -> None:
        def attempt() -> None:
            old = self.get(owner, conversation_id)
            if old is None:
                raise InputRefused("no_such_conversation")
            new = dataclasses.replace(how(old), version=old.version + 1)
            old_place, new_place = _recent(old), _recent(new)
            moved = [Delete(old_place.key)] if old_place.key != new_place.key else []
            self._table.transact([Put(_head(new), old.version), Put(new_place), *moved])

        again(attempt)

    def _unlist(self, owner: str, conversation_id: str) -> None:
        old = self.get(owner, conversation_id)
        if old:
            self._table.transact(
                [
                    Delete(keys.conversation(owner, old.id), old.version),
                    Delete(_recent(old).key),
                    *self._purging.marks(owner, old.id, self._clock().timestamp()),
                ]
            )

    def _discard_streaming(self, thread_id: str, *items: Item | None) -> None:
        for item in items:
            if item and _streams(item):
                self._ask_to_stop(thread_id, item.key.sort.removeprefix(keys.MESSAGE), discard=True)

    def _ask_to_stop(self, thread_id: str, message_id: str, discard: bool) -> None:
        self._table.put(self._passing(keys.stop(thread_id, message_id), {"discard": discard}, STOP_KEPT_S))

    def _passing(self, key: Key, data: dict[str, Json], kept_s: int) -> Item:
        return Item(key, data, expires_at=int(self._clock().timestamp()) + kept_s)

    def _search_messages(self, thread_id: str, wanted: Sequence[str], at_most: int) -> tuple[bool, int, bool]:
        """(found, messages read, stopped at the bound)."""
        read, before = 0, None
        while read < at_most:
            page = self.messages(thread_id, limit=min(_SEARCH_PAGE, at_most - read), before=before)
            read, before = read + len(page.messages), page.before
            if any(_holds(message.text, wanted) for message in page.messages):
                return True, read, False
            if before is None:
                return False, read, False
        return False, read, True


def _streams(message: Item) -> bool:
    return message.data["state"] == MessageState.STREAMING


def _holds(text: str, wanted: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in wanted)


def _head(conversation: Conversation) -> Item:
    return Item(keys.conversation(conversation.owner, conversation.id), from_conversation(conversation))


def _recent(conversation: Conversation) -> Item:
    key = keys.recent(conversation.owner, conversation.updated_at, conversation.id)
    return Item(key, from_conversation(conversation))
