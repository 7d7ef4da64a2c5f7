"""What a sign-in costs while it lasts, and what becomes of the page when it runs out."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from codecoach.services import Services
from codecoach.store import keys, owned
from codecoach.store.revocations import LOOKED_AT_EVERY_S, Revocations
from codecoach.store.sign_ins import SignIns
from codecoach.ui import session
from tests.unit.store_tables import Clock, WatchedTable

from .conftest import PASSWORD, PASSWORD_HASH, open_page, texts

IDLE_S, LONGEST_S = 30 * 60, 12 * 3600
SIGN_IN_FORM = ["E-mail address", "Password"]


@pytest.fixture
def clock(services: Services) -> Clock:
    """The clock by which sign-ins end, and by which processes look at the revocations."""
    clock = Clock()
    revocations = Revocations(services.table, monotonic=clock)
    services.__dict__["revocations"] = revocations
    services.__dict__["sign_ins"] = SignIns(services.table, IDLE_S, LONGEST_S, clock, clock, revocations)
    return clock


@pytest.fixture
def outside_a_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """The session as a script run has it, without one; and nobody's afterwards, as a script run's thread would be gone."""
    state: dict[str, object] = {}
    monkeypatch.setattr(session.st, "session_state", state)
    yield state
    owned.act_as(None)


def labels(test) -> list[str]:
    return [field.label for field in test.text_input]


def sign_in(test, username: str):
    test.text_input(key="signin-username").set_value(username)
    test.text_input(key="signin-password").set_value(PASSWORD)
    return next(button for button in test.button if button.label == "Sign in").click().run()


# --- reads ---


class NotedTable(WatchedTable):
    """A table that notes the keys it is asked for."""

    def reset(self) -> None:
        super().reset()
        self.asked: list[keys.Key] = []

    def get(self, key: keys.Key):
        self.asked.append(key)
        return super().get(key)

    def batch_get(self, keys_):
        self.asked += keys_
        return super().batch_get(keys_)

    def query(self, partition: str, sort_prefix: str = "", **options):
        self.asked.append(keys.Key(partition, sort_prefix))
        return super().query(partition, sort_prefix, **options)


@pytest.fixture
def noted(services: Services) -> NotedTable:
    table = NotedTable(services.table)
    services.__dict__["table"] = table
    return table


def test_drawing_a_page_again_asks_the_store_for_nothing_but_the_revocations_once_a_second(
    services, noted, clock, user
):
    test = open_page("Home", services.sign_ins.open(user))
    noted.reset()
    for _ in range(3):
        assert "Get started" in texts(test.run())
    assert noted.asked == []
    clock.now += LOOKED_AT_EVERY_S
    for _ in range(3):
        test.run()
    assert noted.asked == [keys.REVOCATIONS, keys.LAYOUT]
    assert noted.calls == 1
    assert noted.written == 0


def test_opening_another_page_asks_nothing_more_about_who_one_is(services, noted, clock, user):
    sid = services.sign_ins.open(user)
    open_page("Home", sid)
    noted.reset()
    open_page("Home", sid, locale="zh-CN")
    assert noted.asked == [keys.preferences(user)]


def test_the_sign_in_form_asks_the_store_for_nothing(services, noted, clock):
    test = open_page("Home")
    noted.reset()
    assert labels(test.run()) == SIGN_IN_FORM
    assert noted.asked == []


def test_what_has_ended_is_not_asked_for_again_and_again(services, noted, clock, user):
    sid = services.sign_ins.open(user)
    test = open_page("Home", sid)
    services.sign_ins.close(sid)
    assert labels(test.run()) == SIGN_IN_FORM
    noted.reset()
    assert labels(test.run()) == SIGN_IN_FORM
    assert noted.asked == []


# --- running out ---


def test_after_too_long_without_activity_the_form_says_why(services, clock, user):
    test = open_page("Home", services.sign_ins.open(user))
    clock.now += IDLE_S - 1
    assert "Get started" in texts(test.run())
    clock.now += IDLE_S
    test.run()
    assert not test.exception
    assert labels(test) == SIGN_IN_FORM
    assert "signed out after 30 min without activity" in test.info[0].value
    assert user not in str(test.info[0].value)


def test_after_the_longest_time_the_form_says_so_however_active_one_was(services, clock, user):
    test = open_page("Home", services.sign_ins.open(user))
    ends_at = clock.now + LONGEST_S
    while clock.now < ends_at - IDLE_S:
        clock.now += IDLE_S / 2
        assert "Get started" in texts(test.run())
    clock.now = ends_at
    assert labels(test.run()) == SIGN_IN_FORM
    assert "12 h have passed" in test.info[0].value


def test_one_that_was_ended_elsewhere_is_told_apart(services, clock, user):
    sid = services.sign_ins.open(user)
    test = open_page("Home", sid)
    services.sign_ins.close(sid)
    assert labels(test.run()) == SIGN_IN_FORM
    assert "has been ended" in test.info[0].value


def test_who_signs_out_himself_is_told_nothing(services, clock, user):
    test = open_page("Home", services.sign_ins.open(user))
    test.button(key="codecoach.sign_out").click().run()
    assert labels(test) == SIGN_IN_FORM
    assert not test.info
    assert not test.run().info


def test_what_a_timer_draws_keeps_nobody_signed_in(services, clock, user, outside_a_page):
    sid = services.sign_ins.open(user)
    outside_a_page["codecoach.sid"] = sid
    for _ in range(IDLE_S // 100):
        assert session.account(active=False)
        clock.now += 100
    assert session.account(active=False) is None


def test_following_an_answer_is_activity(services, clock, user, outside_a_page):
    sid = services.sign_ins.open(user)
    outside_a_page["codecoach.sid"] = sid
    for _ in range(IDLE_S // 100 + 2):
        assert session.still_signed_in()
        clock.now += 100
    assert services.sign_ins.find(sid) == user


# --- what was typed ---


def run_out(test, clock: Clock) -> None:
    clock.now += IDLE_S


def test_a_message_typed_for_too_long_stands_there_again_once_its_writer_is_back(services, clock, user):
    test = open_page("1_Chat", services.sign_ins.open(user))
    run_out(test, clock)
    test.chat_input[0].set_value("a very long question").run()
    assert labels(test) == SIGN_IN_FORM
    assert "without activity" in test.info[0].value
    sign_in(test, user)
    assert not test.exception
    assert labels(test)[:1] != SIGN_IN_FORM[:1]
    proto = test.chat_input[0].proto
    assert (proto.set_value, proto.value) == (True, "a very long question")
    assert services.conversations.list(user).conversations == ()  # and was not sent without him


def test_nobody_else_finds_what_was_typed(services, clock, user):
    services.accounts.create("bob@example.com", PASSWORD_HASH)
    test = open_page("1_Chat", services.sign_ins.open(user))
    run_out(test, clock)
    test.chat_input[0].set_value("a secret thought").run()
    sign_in(test, "bob@example.com")
    assert not test.exception
    assert "a secret thought" not in str(test.session_state.to_dict())
    assert user not in str(test.session_state.to_dict())


def test_nobody_finds_it_where_the_sign_in_was_ended(services, clock, user):
    sid = services.sign_ins.open(user)
    test = open_page("1_Chat", sid)
    services.sign_ins.close(sid)
    test.chat_input[0].set_value("a secret thought").run()
    assert labels(test) == SIGN_IN_FORM
    sign_in(test, user)
    assert not test.chat_input[0].proto.set_value
    assert "a secret thought" not in str(test.session_state.to_dict())


def test_what_stood_on_the_bench_stands_there_again_with_what_was_typed_last(services, clock, user):
    test = open_page("3_Prompt_Lab", services.sign_ins.open(user))
    system = next(area for area in test.text_area if area.key.startswith("lab.system."))
    run_out(test, clock)
    system.set_value("You are a very patient system.").run()
    assert labels(test) == SIGN_IN_FORM
    sign_in(test, user)
    assert not test.exception
    assert not test.warning
    assert [error.value for error in test.error] == []
    system = next(area for area in test.text_area if area.key.startswith("lab.system."))
    assert system.value == "You are a very patient system."
    assert services.templates.draft(user).sheet.system == "You are a very patient system."


def test_a_password_that_was_typed_is_kept_nowhere(services, clock, user):
    test = open_page("4_Settings", services.sign_ins.open(user))
    test.get("pills")[0].set_value("account").run()
    run_out(test, clock)
    for key in ("current", "new", "again"):
        test.text_input(key=f"signin-{key}").set_value("my secret password")
    next(button for button in test.button if button.label == "Change password").click().run()
    assert labels(test) == SIGN_IN_FORM
    assert "my secret password" not in str(test.session_state.to_dict())


def test_where_somebody_is_signed_in_from_is_kept_with_the_sign_in(services, clock, user):
    sign_in(open_page("Home"), user)
    (one,) = services.sign_ins.all_of(user)
    assert (one.username, one.seen_at - one.begun_at) == (user, timedelta(0))
