"""Two instances of the web app behind a load balancer, one table: one of them dies under load, and nobody loses an answer."""

import asyncio
import os
import signal
import time

import pytest
import requests

from benchmarks.app import cookie
from codecoach.chat.messages import MessageState, Role
from codecoach.local.scripted import Script, ScriptedServer
from codecoach.store import dynamodb, dynamodb_table
from codecoach.store.conversations import Conversations
from codecoach.ui.sidebar import PARAMETER
from tests.browser.conftest import start_app, stop_app
from tests.deploy.person import Person, counted, counting, until
from tests.deploy.sticky_proxy import COOKIE, StickyProxy
from tests.dynamodb_local import server as dynamodb_local

REGION, TABLE = "us-east-1", "codecoach"
PEOPLE = 6  # half of them on each instance
TOKENS, TOKEN_S = 160, 0.1
KILL_AT = 40  # when everybody has seen so many of them
SAVED_S = 2.0  # what is shown for longer has been saved, and some more for a busy machine


@pytest.mark.skipif(bool(dynamodb_local.problem()), reason=dynamodb_local.problem() or "-")
def test_one_of_two_instances_is_killed_under_load_and_nobody_loses_an_answer(tmp_path):
    script = Script(default=counting(TOKENS, TOKEN_S))
    with dynamodb_local.running() as dynamo, ScriptedServer(script) as bedrock:
        client = dynamodb.client(REGION, dynamo)
        dynamodb_table.ensure(client, TABLE)
        table = dynamodb.DynamoTable(client, TABLE)
        apps = []
        try:
            for name in ("first", "second"):
                (tmp_path / name).mkdir()
                apps.append(
                    start_app(
                        tmp_path / name, bedrock_endpoint_url=bedrock.url, dynamodb_endpoint_url=dynamo, table=TABLE
                    )
                )
            proxy = StickyProxy([int(app.url.rpartition(":")[2]) for app in apps])
            try:
                asyncio.run(story(proxy.url, table, apps, bedrock))
            finally:
                proxy.close()
        finally:
            for app in apps:
                stop_app(app)


async def story(url: str, table, apps, bedrock) -> None:
    conversations = Conversations(table)
    people = []
    for index in range(PEOPLE):
        name = f"person{index}@example.com"
        people.append((name, Person(url, f"{cookie(table, name)}; {COOKIE}={index % 2}", "Chat")))
    for _, person in people:
        await person.open()
    for _, person in people:
        await person.submit_chat("Please count.")
    await until(lambda: all(len(person.seen) > KILL_AT for _, person in people), "the answers do not come")
    for name, person in people:
        (conversation,) = conversations.list(name).conversations
        person.query = f"{PARAMETER}={conversation.id}"

    killed_at = time.monotonic()
    os.kill(apps[0].process.pid, signal.SIGKILL)
    apps[0].process.wait()
    with requests.Session() as browser:  # the other one answers
        assert browser.get(f"{url}/healthz", headers={"Cookie": f"{COOKIE}=0"}, timeout=60).ok

    def reply(name, person):
        thread = person.query.removeprefix(f"{PARAMETER}=")
        return next(m for m in conversations.messages(thread).messages if m.role is Role.ASSISTANT)

    untouched, cut = people[1::2], people[0::2]
    await until(
        lambda: all(reply(*one).state is MessageState.COMPLETE for one in untouched),
        "an answer of the living does not end",
    )
    for one in untouched:
        assert reply(*one).text.split() == counted(TOKENS)

    for _ in cut:
        bedrock.engine.say("and the rest of it.")
    for name, before in cut:
        shown = {number for number, at in before.seen.items() if at < killed_at - SAVED_S}
        assert len(shown) > KILL_AT / 2  # else nothing is shown by this
        # The same browser, with the same cookie: a reload.
        again = Person(url, before.cookie, "Chat", query=before.query)
        await again.open()
        assert shown <= again.seen.keys()
        # That its writer is dead, is noticed ten seconds after the last sign of life.
        await until(lambda again=again: again.key("continue."), f"{name} is not offered to go on")
        await again.press(again.key("continue."))
        await until(
            lambda again=again: any("and the rest of it." in text for text in again.texts), f"{name} cannot go on"
        )
        await again.close()
        await until(
            lambda name=name, before=before: reply(name, before).state is MessageState.COMPLETE,
            "what goes on does not end",
        )
        assert reply(name, before).text.endswith("and the rest of it.")
    for _, person in people:
        await person.close()
