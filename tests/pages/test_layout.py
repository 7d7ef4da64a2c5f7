"""With data of a newer layout, or half restored ones, nobody gets in."""

import pytest

from codecoach.errors import StoreError
from codecoach.services import Services
from codecoach.store import layout
from codecoach.store.layout import NEWEST, Layout
from codecoach.ui import session
from tests.pages.conftest import open_page


@pytest.fixture
def stale(services: Services, user: str) -> str:
    """The sign-in of somebody who had been signed in before; the app has been started anew since."""
    sid = services.sign_ins.open(user)
    session.install(Services(services.settings))
    return sid


@pytest.mark.parametrize(
    ("number", "restoring", "told"),
    [(NEWEST + 1, "", "layout_newer"), (NEWEST, "digest", "restore_unfinished")],
)
@pytest.mark.parametrize("page", ["Home", "1_Chat"])
def test_no_page_is_drawn_but_the_reason(services, stale, page, number, restoring, told):
    layout.write(services.table, Layout(number, restoring, layout.read(services.table).version))
    test = open_page(page, stale)
    # In the app `ui.app.show_script_error` shows it, as every error that no page caught.
    assert test.exception
    with pytest.raises(StoreError, match=told):
        _ = session.services().table
    assert not test.chat_input
    assert not test.button
