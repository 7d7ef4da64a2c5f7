"""The stores do the same over every table."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.store import keys
from codecoach.store.accounts import Accounts
from codecoach.store.conversations import Conversations
from codecoach.store.sign_ins import SignIns

ANN = "ann@example.com"


def test_a_conversation_lives_and_dies(table, clock):
    conversations = Conversations(table, clock=lambda: datetime.fromtimestamp(clock(), UTC))
    first = conversations.create(ANN, "code_coach", "Buckets")
    clock.now += 1
    second = conversations.create(ANN, "code_coach", "Queues")
    clock.now += 1
    conversations.touch(ANN, first.id)
    conversations.rename(ANN, first.id, "My buckets")
    assert [found.title for found in conversations.list(ANN).conversations] == ["My buckets", "Queues"]

    reply = Message(conversations.new_message_id(), Role.ASSISTANT, "", conversations.get(ANN, first.id).created_at)
    for size in (0, 1_000, 1_000_000):
        text = "".join(f"{number} 桶\n" for number in range(size // 9))
        conversations.save(first.id, dataclasses.replace(reply, text=text, state=MessageState.STREAMING))
    assert conversations.get_message(first.id, reply.id).text == text
    conversations.request_stop(first.id, reply.id)
    assert conversations.stop_requested(first.id, reply.id)
    conversations.save(first.id, dataclasses.replace(reply, text=f"{text} needle", state=MessageState.STOPPED))
    assert [found.id for found in conversations.search(ANN, "NEEDLE").conversations] == [first.id]

    for number in range(25):
        conversations.save(first.id, dataclasses.replace(reply, id=conversations.new_message_id(), text=str(number)))
    page = conversations.messages(first.id, limit=10)
    assert [message.text for message in page.messages] == [str(number) for number in range(15, 25)]
    conversations.delete_from(first.id, page.messages[5].id)
    assert conversations.messages(first.id, limit=1).messages[0].text == "19"

    conversations.delete(ANN, first.id)
    assert [item.key for item in table.query(keys.thread(first.id)).items] == [keys.gone(first.id)]
    assert [found.id for found in conversations.list(ANN).conversations] == [second.id]


def test_failures_at_the_same_moment_all_count(table, clock):
    accounts = Accounts(table, clock=clock)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: accounts.record_failure(ANN, ""), range(16)))
    assert table.get(keys.failures(f"username {ANN}")).data["count"] == 16


def test_a_ticket_goes_to_one_of_many(table, clock):
    sign_ins = SignIns(table, idle_s=3600, longest_s=86400, clock=clock)
    ticket = sign_ins.issue_ticket("a sid")
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda _: sign_ins.redeem(ticket), range(6)))
    assert sorted(got, key=str) == [None] * 5 + ["a sid"]


def test_sign_ins_of_different_users_end_at_the_same_moment(table, clock):
    sign_ins = SignIns(table, idle_s=3600, longest_s=86400, clock=clock, monotonic=clock)
    sids = {name: sign_ins.open(name) for name in ("a@example.com", "b@example.com", "c@example.com")}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(sign_ins.close_all, sids))
    assert [sign_ins.find(sid) for sid in sids.values()] == [None] * 3
