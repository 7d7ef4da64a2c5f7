"""The stores do the same over every table."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.store import keys
from codecoach.store.accounts import Accounts
from codecoach.store.conversations import Conversations
from codecoach.store.cookie_seal import CookieSeal, kept_secrets
from codecoach.store.failures import SLOW_FROM, Failures
from codecoach.store.revocations import LOOKED_AT_EVERY_S
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


def test_of_many_tries_at_the_same_moment_few_are_let_through(table, clock):
    failures = Failures(table, clock=clock)
    with ThreadPoolExecutor(4) as pool:
        waits = list(pool.map(lambda _: failures.begin(ANN, ""), range(16)))
    assert waits.count(0) == SLOW_FROM


def test_a_change_of_an_account_is_noticed_by_another_process(table, clock):
    here, elsewhere = (Accounts(table, clock=clock, monotonic=clock) for _ in range(2))
    here.create(ANN, "hash")
    assert not elsewhere.current(ANN).disabled
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda role: here.set_role(ANN, role, True), ("one", "two", "three")))
    here.set_disabled(ANN, True)
    clock.now += LOOKED_AT_EVERY_S
    assert elsewhere.current(ANN).disabled
    assert sorted(elsewhere.current(ANN).roles) == ["one", "three", "two"]


def test_a_sign_in_is_listed_seen_and_ended(table, clock):
    sign_ins = SignIns(table, idle_s=3600, longest_s=86400, clock=clock, monotonic=clock)
    sids = [sign_ins.open(ANN, f"browser {number}", "192.0.2.1") for number in range(3)]
    clock.now += 100
    assert sign_ins.see(sids[1]) == ANN
    assert sign_ins.all_of(ANN)[0].id == sign_ins.id_of(sids[1])
    sign_ins.close_one(ANN, sign_ins.id_of(sids[1]))
    assert [sign_ins.find(sid) for sid in sids] == [ANN, None, ANN]
    assert {one.device for one in sign_ins.all_of(ANN)} == {"browser 0", "browser 2"}


def test_all_processes_sign_cookies_with_one_secret(table):
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda _: kept_secrets(table), range(8)))
    assert len(set(kept)) == 1
    assert CookieSeal(kept[0]).unseal(CookieSeal(kept[-1]).seal("x" * 43)) == "x" * 43


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
