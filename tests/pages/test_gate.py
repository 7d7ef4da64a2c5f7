"""The gate stands in every page: who is not signed in sees sign-in and nothing else."""

import threading
from collections.abc import Callable

import bcrypt
import pytest

from codecoach.services import Services
from codecoach.settings import Backend
from codecoach.store import keys
from codecoach.store.failures import Failures
from codecoach.ui import passwords, session
from codecoach.ui.administration import OPERATOR, Administration
from tests.unit.store_tables import Clock

from .conftest import PAGES, PASSWORD, PASSWORD_HASH, lose_store, open_page, texts

SIGN_IN_FORM = ["E-mail address", "Password"]


def labels(test) -> list[str]:
    return [field.label for field in test.text_input]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asked_for_directly_shows_only_sign_in(services, page):
    test = open_page(page)
    assert not test.exception
    assert labels(test) == SIGN_IN_FORM
    assert [button.label for button in test.button] == ["Sign in", "I have an invitation"]
    assert not test.sidebar.children


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("state", ["closed", "disabled", "made up"])
def test_a_sign_in_that_is_no_longer_good_shows_only_sign_in(services, user, page, state):
    sid = services.sign_ins.open(user)
    if state == "closed":
        services.sign_ins.close(sid)
    if state == "disabled":
        services.accounts.set_disabled(user, True)
    test = open_page(page, "made up" if state == "made up" else sid)
    assert not test.exception
    assert labels(test) == SIGN_IN_FORM


@pytest.mark.parametrize("page", PAGES)
def test_an_account_that_must_change_its_password_gets_only_that(services, page):
    services.accounts.create("new@example.com", PASSWORD_HASH, must_change_password=True)
    test = open_page(page, services.sign_ins.open("new@example.com"))
    assert not test.exception
    assert labels(test) == ["Current password", "New password", "New password, once more"]
    assert [button.label for button in test.button] == ["Change password", "Sign out"]
    assert not test.sidebar.children


@pytest.mark.parametrize("page", PAGES)
def test_a_signed_in_user_gets_the_page_and_the_navigation(services, user, page):
    test = open_page(page, services.sign_ins.open(user))
    assert not test.exception
    assert [link.value for link in test.sidebar.get("page_link")][:1] == ["Home"]
    assert "Sign out" in [button.label for button in test.sidebar.button]


def enter(test, username: str, password: str):
    test.text_input(key="signin-username").set_value(username)
    test.text_input(key="signin-password").set_value(password)
    return test.button[0].click().run()


def test_the_right_password_signs_in_whatever_the_case_of_the_name(services, user):
    test = enter(open_page("Home"), f"  {user.upper()} ", PASSWORD)
    assert not test.exception
    assert "Get started" in texts(test)


@pytest.mark.parametrize("name", ["ann@example.com", "nobody@example.com", "", "a\x00b"])
def test_a_wrong_name_and_a_wrong_password_sound_the_same(services, user, name):
    test = enter(open_page("Home"), name, "not the password")
    assert not test.exception
    assert [error.value for error in test.error] == ["The e-mail address or the password is not right."]


def test_a_disabled_account_sounds_like_a_wrong_password(services, user):
    services.accounts.set_disabled(user, True)
    test = enter(open_page("Home"), user, PASSWORD)
    assert [error.value for error in test.error] == ["The e-mail address or the password is not right."]


@pytest.mark.parametrize(("failures", "said"), [(5, "Try again in 5 s"), (10, "Try again in 15 min")])
@pytest.mark.parametrize("name", ["ann@example.com", "nobody@example.com"])
def test_after_too_many_failures_not_even_the_right_password_is_tried(services, user, name, failures, said):
    clock = Clock()
    services.__dict__["failures"] = Failures(services.table, clock)
    for _ in range(failures):
        clock.now += services.failures.wait_s(name, "")
        services.failures.begin(name, "")
    test = enter(open_page("Home"), name, PASSWORD)
    assert said in test.error[0].value
    assert labels(test) == SIGN_IN_FORM
    services.accounts.unlock(user)
    enter(test, user, PASSWORD)
    assert "Get started" in texts(test)


@pytest.mark.parametrize(
    ("who", "password"),
    [
        ("known", "not the password"),
        ("known", ""),
        ("known", "x" * 200),
        ("unknown", "not the password"),
        ("unknown", "x" * 200),
        ("disabled", PASSWORD),
        ("without a password", "!"),
    ],
)
def test_every_refusal_costs_one_hash_and_counts_once(services, user, monkeypatch, who, password):
    if who == "disabled":
        services.accounts.set_disabled(user, True)
    if who == "without a password":
        services.accounts.set_password(user, "!")
    name = "nobody@example.com" if who == "unknown" else user
    passwords.warm()
    hashed = []
    really = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: hashed.append("check") or really(*args))
    monkeypatch.setattr(bcrypt, "hashpw", lambda *args: pytest.fail("hashed once more"))
    test = enter(open_page("Home"), name, password)
    assert [error.value for error in test.error] == ["The e-mail address or the password is not right."]
    assert hashed == ["check"]
    assert services.table.get(keys.failures(f"username {name}")).data["count"] == 1


def test_a_hash_of_a_lower_cost_is_renewed_by_signing_in_and_only_with_the_right_password(services):
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    services.accounts.create("ann@example.com", old)
    enter(open_page("Home"), "ann@example.com", "not the password")
    assert services.accounts.get("ann@example.com").password_hash == old
    assert "Get started" in texts(enter(open_page("Home"), "ann@example.com", PASSWORD))
    renewed = services.accounts.get("ann@example.com").password_hash
    assert renewed.startswith("$2b$12$")
    assert passwords.check_password(PASSWORD, renewed)


def test_a_hash_of_todays_cost_stays_as_it_is(services, user):
    enter(open_page("Home"), user, PASSWORD)
    assert services.accounts.get(user).password_hash == PASSWORD_HASH


def test_a_chosen_password_opens_the_page_and_ends_other_sign_ins(services):
    services.accounts.create("new@example.com", PASSWORD_HASH, must_change_password=True)
    here, elsewhere = services.sign_ins.open("new@example.com"), services.sign_ins.open("new@example.com")
    test = open_page("Home", here)
    for key, value in (("current", PASSWORD), ("new", "my own password"), ("again", "my own password")):
        test.text_input(key=f"signin-{key}").set_value(value)
    test.button[0].click().run()
    assert not test.exception
    assert "Get started" in texts(test)
    assert not test.session_state["signin-changed"]  # Settings would tell of it whenever it is opened first
    assert services.sign_ins.find(here) == "new@example.com"
    assert services.sign_ins.find(elsewhere) is None


@pytest.mark.parametrize(
    ("current", "new", "again", "said"),
    [
        ("wrong one", "my own password", "my own password", "current password is not right"),
        (PASSWORD, "my own password", "my own passwort", "not the same"),
        (PASSWORD, PASSWORD, PASSWORD, "is the current one"),
        (PASSWORD, "short", "short", "at least 8 characters"),
        (PASSWORD, "", "", "at least 8 characters"),
        (PASSWORD, "密" * 30, "密" * 30, "72 bytes"),
    ],
)
def test_a_new_password_that_will_not_do_says_why(services, current, new, again, said):
    services.accounts.create("new@example.com", PASSWORD_HASH, must_change_password=True)
    test = open_page("Home", services.sign_ins.open("new@example.com"))
    for key, value in (("current", current), ("new", new), ("again", again)):
        test.text_input(key=f"signin-{key}").set_value(value)
    test.button[0].click().run()
    assert said in test.error[0].value
    assert services.accounts.get("new@example.com").must_change_password


# --- changed while a password is being checked, which takes a quarter of a second ---


def while_checking(monkeypatch, what: Callable[[], object]) -> None:
    """Do something once, when the next password has been checked, before anything comes of it."""
    really, left = bcrypt.checkpw, [what]

    def check(*args):
        right = really(*args)
        if left:
            left.pop()()
        return right

    monkeypatch.setattr(bcrypt, "checkpw", check)


def create_anew(services: Services, name: str) -> None:
    Administration(services, OPERATOR).delete(name)
    services.accounts.create(name, passwords.hash_password("of somebody else"))


MEANWHILE: dict[str, Callable[[Services, str], object]] = {
    "reset": lambda services, name: Administration(services, OPERATOR).reset(name),
    "disabled": lambda services, name: Administration(services, OPERATOR).disable(name),
    "deleted": lambda services, name: Administration(services, OPERATOR).delete(name),
    "deleted and created anew": create_anew,
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_password_that_held_until_a_moment_ago_lets_nobody_in(services, user, monkeypatch, meanwhile):
    test = open_page("Home")
    while_checking(monkeypatch, lambda: MEANWHILE[meanwhile](services, user))
    enter(test, user, PASSWORD)
    assert not test.exception
    assert [error.value for error in test.error] == ["The e-mail address or the password is not right."]
    assert labels(test) == SIGN_IN_FORM
    assert services.sign_ins.all_of(user) == ()
    assert labels(test.run()) == SIGN_IN_FORM


def test_a_password_that_another_window_hashed_anew_meanwhile_lets_its_owner_in(services, user, monkeypatch):
    anew = passwords.hash_password(PASSWORD)
    test = open_page("Home")
    while_checking(monkeypatch, lambda: services.accounts.renew_hash(user, PASSWORD_HASH, anew))
    assert "Get started" in texts(enter(test, user, PASSWORD))
    assert services.accounts.get(user).password_hash == anew


@pytest.mark.parametrize("meanwhile", ["reset", "deleted", "deleted and created anew"])
@pytest.mark.parametrize(("locale", "told"), [("en-US", "changed meanwhile"), ("zh-CN", "已被更改")])
def test_what_an_administrator_did_meanwhile_is_not_overwritten_by_a_change_of_password(
    services, monkeypatch, meanwhile, locale, told
):
    name = services.accounts.create("new@example.com", PASSWORD_HASH, must_change_password=True).username
    test = open_page("Home", services.sign_ins.open(name), locale)
    for key, value in (("current", PASSWORD), ("new", "my own password"), ("again", "my own password")):
        test.text_input(key=f"signin-{key}").set_value(value)
    after = []
    while_checking(
        monkeypatch, lambda: (MEANWHILE[meanwhile](services, name), after.append(services.accounts.get(name)))
    )
    test.button[0].click().run()
    assert not test.exception
    assert (told if after[0] else name) in test.error[0].value.replace("\\", "")
    assert services.accounts.get(name) == after[0]
    test.run()
    assert len(labels(test)) == len(SIGN_IN_FORM)
    assert services.sign_ins.all_of(name) == ()


def test_signing_out_leaves_nothing_of_the_user_in_the_session(services, user):
    test = open_page("Home", services.sign_ins.open(user))
    test.session_state["chat-draft"] = "a secret thought"
    test.button(key="codecoach.sign_out").click().run()
    assert labels(test) == SIGN_IN_FORM
    assert "chat-draft" not in test.session_state
    assert user not in str(test.session_state.to_dict())


def test_widgets_named_like_identity_change_nothing(services, user):
    test = open_page("Home")
    for key in ("username", "roles", "name", "email", "authentication_status", "logout"):
        test.session_state[key] = "root@example.com"
    test.run()
    assert labels(test) == SIGN_IN_FORM


def test_the_language_follows_the_browser_then_the_choice_then_the_account(services, user):
    assert "登录" in texts(open_page("Home", locale="zh-CN"))
    assert "Sign in" in texts(open_page("Home", locale="fr-FR"))
    sid = services.sign_ins.open(user)
    test = open_page("Home", sid)
    test.get("segmented_control")[0].set_value("zh").run()
    assert "开始使用" in texts(test)
    assert services.preferences.get(user).language == "zh"
    assert "开始使用" in texts(open_page("Home", sid, locale="en-US"))


def test_with_a_dead_store_sign_in_says_so_without_a_trace(services, user):
    test = open_page("Home")
    lose_store(services)
    enter(test, user, PASSWORD)
    assert not test.exception
    assert "The store does not answer" in test.error[0].value
    assert "Reference" in test.error[0].value


@pytest.mark.parametrize("page", ["Home", "4_Settings"])
def test_an_open_page_goes_on_drawing_while_the_store_is_dead(services, user, page):
    test = open_page(page, services.sign_ins.open(user))
    lose_store(services)
    test.run()
    assert not test.exception
    assert test.title[0].value in ("CodeCoach", "Settings")
    assert "Sign out" in texts(test)


def test_language_and_sign_out_work_while_the_store_is_dead(services, user):
    test = open_page("Home", services.sign_ins.open(user))
    lose_store(services)
    test.get("segmented_control")[0].set_value("zh").run()
    assert not test.exception
    assert "开始使用" in texts(test)
    test.button(key="codecoach.sign_out").click().run()
    assert not test.exception
    assert labels(test) == ["邮箱地址", "密码"]


def test_a_reload_while_the_store_is_dead_does_not_let_anybody_in(services, user):
    sid = services.sign_ins.open(user)
    lose_store(services)
    test = open_page("Home", sid)
    assert not test.exception
    assert labels(test) == SIGN_IN_FORM
    assert "The store does not answer" in test.error[0].value


def test_a_click_after_the_sign_in_was_ended_elsewhere_does_nothing(services, user):
    sid = services.sign_ins.open(user)
    test = open_page("1_Chat", sid)
    example = next(button for button in test.button if "S3" in button.label)
    services.sign_ins.close(sid)
    example.click().run()
    assert labels(test) == SIGN_IN_FORM
    assert services.conversations.list(user).conversations == ()


def test_a_click_of_who_must_choose_another_password_meanwhile_does_nothing(services, user):
    test = open_page("1_Chat", services.sign_ins.open(user))
    example = next(button for button in test.button if "S3" in button.label)
    services.accounts.set_password(user, PASSWORD_HASH, must_change_password=True)
    example.click().run()
    assert labels(test) == ["Current password", "New password", "New password, once more"]
    assert services.conversations.list(user).conversations == ()


def test_with_an_aws_account_the_settings_say_who_aws_takes_us_for(services, user):
    in_aws = Services(services.settings.model_copy(update={"backend": Backend.AWS}))
    in_aws.__dict__ |= {name: getattr(services, name) for name in ("table", "model", "directory")}
    session.install(in_aws)
    test = open_page("4_Settings", services.sign_ins.open(user))
    test.get("pills")[0].set_value("account").run()
    for thread in threading.enumerate():
        if thread.name == "check identity":
            thread.join(30)
    test.run()
    assert not test.exception
    assert "no valid AWS credentials" in texts(test)


@pytest.mark.parametrize("order", [("start", "ticket__with__underscores"), ("end", "1")])
def test_any_order_for_the_cookie_can_be_given_to_the_browser(services, user, order):
    test = open_page("Home", services.sign_ins.open(user))
    test.session_state["codecoach.order"] = order
    test.run()
    assert not test.exception
    assert "Get started" in texts(test)
