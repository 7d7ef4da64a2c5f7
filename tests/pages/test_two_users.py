"""What stands in an address bar, or was left in a browser by somebody else, opens nothing that is another's."""

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.services import Services
from codecoach.store.programs import SourceFile
from tests.pages.conftest import PASSWORD_HASH, ROOT, texts

SECRET = "the other's secret"
TAMPERED = (
    "{id}.explained",
    "{id}#",
    "{ID}",
    "../{id}",
    "<img src=x onerror=alert(1)>",
    "x" * 20_000,
    "\x00",
    "\u202e{id}",
)


@pytest.fixture
def other(services: Services) -> str:
    return services.accounts.create("bob@example.com", PASSWORD_HASH).username


def opened(page: str, sid: str, **parameters: object) -> AppTest:
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    test.session_state["codecoach.sid"] = sid
    for name, value in parameters.items():
        test.query_params[name] = value
    return test.switch_page(page).run()


def of_the_other(services: Services, other: str, page: str) -> str:
    """Make something that this page opens; its id."""
    if page == "pages/1_Chat.py":
        return services.conversations.create(other, "plain", SECRET).id
    return services.programs.create(other, "python", (SourceFile("main.py", SECRET),), name=SECRET).id


@pytest.mark.parametrize(("page", "parameter"), [("pages/1_Chat.py", "c"), ("pages/2_Editor.py", "p")])
@pytest.mark.parametrize("value", ["{id}", *TAMPERED])
def test_an_id_in_the_address_opens_only_what_is_ones_own(services, user, other, page, parameter, value):
    item_id = of_the_other(services, other, page)
    given = value.replace("{id}", item_id).replace("{ID}", item_id.upper())
    test = opened(page, services.sign_ins.open(user), **{parameter: given}, unknown="<b>", settings="account")
    assert not test.exception
    assert SECRET not in texts(test)
    assert given not in texts(test)
    assert parameter not in test.query_params


def test_repeated_parameters_open_nothing(services, user, other):
    item_id = of_the_other(services, other, "pages/1_Chat.py")
    test = opened("pages/1_Chat.py", services.sign_ins.open(user), c=[item_id, item_id])
    assert not test.exception
    assert SECRET not in texts(test)


def test_a_click_on_what_another_user_left_on_the_screen_does_nothing(services, user, other):
    mine = services.conversations.create(user, "plain", "Mine")
    test = opened("pages/1_Chat.py", services.sign_ins.open(user), c=mine.id)
    test.session_state["codecoach.sid"] = services.sign_ins.open(other)  # signed in without the page being drawn anew
    test.chat_input[0].set_value("In whose name?").run()
    assert "This is not among your work" in texts(test)
    assert services.conversations.messages(mine.id).messages == ()
    assert services.conversations.list(other).conversations == ()


def without_a_gate() -> None:
    """A page that forgot to ask who is there."""
    import streamlit as st

    from codecoach.ui.session import services

    owner = st.session_state["owner"]
    st.text(str([one.title for one in services().conversations.list(owner).conversations]))


def test_what_draws_a_page_and_forgets_to_ask_who_is_there_is_given_nothing(services, other):
    services.conversations.create(other, "plain", SECRET)
    test = AppTest.from_function(without_a_gate, default_timeout=30)
    test.session_state["owner"] = other
    assert [shown.value for shown in test.run().text] == ["[]"]
