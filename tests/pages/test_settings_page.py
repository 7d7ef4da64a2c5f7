"""Settings: a model is saved only after it answered, and administrators manage accounts."""

import threading
import time

import pytest

from codecoach.errors import ModelAccessDenied, ModelThrottled, RuntimeBroken
from codecoach.i18n import Notice
from codecoach.languages import LANGUAGES
from codecoach.runner import packages
from codecoach.runner.port import Runtime
from codecoach.store.accounts import ROLE_ADMIN
from codecoach.ui import running, switches

from .conftest import PASSWORD, open_page, texts

SETTINGS = "4_Settings"


@pytest.fixture
def settings_page(services, user):
    return open_page(SETTINGS, services.sign_ins.open(user))


def pick(test, model_id: str):
    return test.selectbox(key="settings-model").select(model_id).run()


def press(test, name: str):
    return test.button(key=f"settings-{name}").click().run()


def section(test, name: str):
    return test.get("pills")[0].set_value(name).run()


def test_the_models_are_listed_with_what_is_known_of_them(settings_page):
    assert settings_page.selectbox(key="settings-model").options == ["First Model · Acme", "Second Model · Acme"]
    assert "First Model" in settings_page.markdown[0].value
    assert "200,000" in texts(settings_page)
    assert "2027-01-31" in texts(pick(settings_page, "second.model-v1"))


def test_nothing_can_be_saved_before_a_test(settings_page):
    assert settings_page.button(key="settings-save").disabled


def test_a_good_test_shows_the_answer_and_lets_that_model_be_saved(services, user, settings_page):
    services.model.replies.append("Hello from the second.")
    press(pick(settings_page, "second.model-v1"), "test")
    assert services.model.asked == ["second.model-v1"]
    assert settings_page.code[0].value == "Hello from the second."
    assert "7 tokens in" in texts(settings_page)
    assert list(services.preferences.tested_models(user)) == ["second.model-v1"]
    press(settings_page, "save")
    assert not settings_page.exception
    assert services.preferences.get(user).model_id == "second.model-v1"
    assert "Second Model" in settings_page.markdown[0].value


def test_a_good_test_of_one_model_does_not_allow_another_to_be_saved(settings_page):
    press(settings_page, "test")
    assert not settings_page.button(key="settings-save").disabled
    pick(settings_page, "second.model-v1")
    assert settings_page.button(key="settings-save").disabled


def test_a_failing_test_says_why_and_the_older_choice_stays(services, user, settings_page):
    press(settings_page, "test")
    press(settings_page, "save")
    services.model.replies.append(ModelAccessDenied(model="second.model-v1"))
    press(pick(settings_page, "second.model-v1"), "test")
    assert not settings_page.exception
    assert "may not call the model" in settings_page.error[0].value
    assert "Reference" in settings_page.error[0].value
    assert settings_page.button(key="settings-save").disabled
    assert services.preferences.get(user).model_id == "first.model-v1"
    assert "Your saved choice stays" in texts(settings_page)


def test_a_model_that_failed_after_it_was_good_cannot_be_saved(services, settings_page):
    press(pick(settings_page, "second.model-v1"), "test")
    services.model.replies.append(ModelThrottled())
    press(settings_page, "test")
    assert settings_page.button(key="settings-save").disabled


def test_without_a_list_of_models_the_rest_of_the_page_works(services, user):
    services.directory.answers = False
    test = open_page(SETTINGS, services.sign_ins.open(user))
    assert not test.exception
    assert "The model does not answer" in test.error[0].value
    assert "Change password" in texts(section(test, "account"))


def test_a_model_that_could_only_be_guessed_is_tested_and_saved_and_why_is_said_once(services, user):
    services.directory.trouble = ModelAccessDenied("model_list_denied")
    test = open_page(SETTINGS, services.sign_ins.open(user))
    assert ["may not list the models" in error.value for error in test.error] == [True]
    assert "models that CodeCoach knows of" in texts(test)
    press(pick(test, "second.model-v1"), "test")
    press(test, "save")
    assert services.preferences.get(user).model_id == "second.model-v1"


def test_a_saved_model_that_is_gone_is_named(services, user):
    services.preferences.put(user, services.preferences.get(user).__class__(model_id="gone.model"))
    test = open_page(SETTINGS, services.sign_ins.open(user))
    assert not test.exception
    assert "gone" in test.warning[0].value


def test_the_password_can_be_changed(services, user, settings_page):
    section(settings_page, "account")
    for key, value in (("current", PASSWORD), ("new", "my own password"), ("again", "my own password")):
        settings_page.text_input(key=f"signin-{key}").set_value(value)
    next(button for button in settings_page.button if button.label == "Change password").click().run()
    assert not settings_page.exception
    assert "Your password is changed" in settings_page.success[0].value


def test_the_account_says_that_no_aws_account_is_used(settings_page):
    assert "no AWS account is used" in texts(section(settings_page, "account"))


def test_the_state_names_versions(settings_page):
    assert "Streamlit" in texts(section(settings_page, "state"))


def test_an_administrator_sees_the_runtime_of_every_language(services, admin):
    shown = texts(section(open_page(SETTINGS, services.sign_ins.open(admin)), "runtimes"))
    assert [language.label for language in LANGUAGES if language.label not in shown] == []
    assert "Not installed" in shown


def test_an_administrator_installs_a_missing_runtime_and_sees_how_it_goes(services, admin, monkeypatch):
    gate, asked = threading.Event(), []

    def install(language, _cache_dir, report):
        asked.append(language)
        report("unpacking")
        assert gate.wait(30)
        raise RuntimeBroken(language=language, detail="the disk is full")

    monkeypatch.setattr(packages, "install", install)
    shown = section(open_page(SETTINGS, services.sign_ins.open(admin)), "runtimes")
    shown.button(key="settings-install-lua").click().run()
    assert not shown.exception
    assert "settings-install-lua" not in [button.key for button in shown.button]
    gate.set()
    deadline = time.monotonic() + 30
    while services.installations.going_on() and time.monotonic() < deadline:
        time.sleep(0.01)
    shown.run()
    assert asked == ["lua"]
    assert "the disk is full" in shown.error[0].value
    assert "settings-install-lua" in [button.key for button in shown.button]


def test_who_is_no_administrator_any_more_installs_nothing_by_a_page_drawn_before(services, admin, caplog, monkeypatch):
    monkeypatch.setattr(services.installations, "start", lambda language: pytest.fail("installs it all the same"))
    shown = section(open_page(SETTINGS, services.sign_ins.open(admin)), "runtimes")
    services.accounts.set_role(admin, ROLE_ADMIN, False)
    shown.button(key="settings-install-lua").click().run()
    assert not shown.exception
    assert f"refused, who is no administrator: {admin}" in caplog.text


class Runtimes:
    """A runner of which only the runtimes matter."""

    def __init__(self, *known: Runtime) -> None:
        self.known = known

    def runtimes(self) -> tuple[Runtime, ...]:
        return self.known

    def close(self) -> None:
        """Nothing is open."""


def test_what_hinders_all_runtimes_is_said_once_and_none_can_be_installed(services, admin):
    why = Notice("runtimes.sandbox_no_bwrap")
    services.__dict__["runner"] = Runtimes(*(Runtime(one.id, "1", False, one.sdk, why) for one in LANGUAGES))
    test = section(open_page(SETTINGS, services.sign_ins.open(admin)), "runtimes")
    assert not test.exception
    assert texts(test).count("bubblewrap is missing") == 1
    assert "Install" not in [button.label for button in test.button]


def test_a_runtime_that_was_just_installed_runs_at_once(services, monkeypatch):
    services.__dict__["runner"] = runner = Runtimes(Runtime("lua", "5.4", False))
    assert running.why_not("lua")
    built = threading.Event()

    def install(*_: object) -> None:
        runner.known = (Runtime("lua", "5.4", True),)
        built.set()

    monkeypatch.setattr(packages, "install", install)
    services.installations.start("lua")
    assert built.wait(60)
    while services.installations.going_on():
        time.sleep(0.005)
    assert running.why_not("lua") is None


def test_a_language_chosen_while_a_sign_in_ends_breaks_nothing():
    switches._language_chosen(
        "codecoach.language_switch-forgotten"
    )  # else it raises: the session has no such key any more
