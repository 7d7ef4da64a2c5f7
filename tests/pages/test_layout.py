"""With data of a newer layout, or half restored ones, nobody gets in."""

import pytest

from codecoach.errors import StoreError
from codecoach.services import Services
from codecoach.store import layout
from codecoach.store.layout import NEWEST, Layout
from codecoach.store.revocations import LOOKED_AT_EVERY_S, Revocations
from codecoach.store.sign_ins import SignIns
from codecoach.ui import session
from tests.pages.conftest import open_page, texts
from tests.unit.store_tables import Clock


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


@pytest.fixture
def clock(services: Services) -> Clock:
    """The clock by which this process looks at how the table stands."""
    clock = Clock()
    revocations = Revocations(services.table, monotonic=clock)
    services.__dict__ |= {
        "revocations": revocations,
        "sign_ins": SignIns(services.table, 3600, 3600, clock, clock, revocations),
    }
    return clock


@pytest.mark.parametrize(
    ("number", "restoring", "told"),
    [(NEWEST + 1, "", "layout_newer"), (NEWEST, "digest", "restore_unfinished")],
)
def test_who_has_a_page_open_is_told_within_a_second_and_nothing_is_written(
    services, user, clock, number, restoring, told
):
    test = open_page("1_Chat", services.sign_ins.open(user))
    ours = layout.read(services.table)
    layout.write(services.table, Layout(number, restoring, ours.version))
    clock.now += LOOKED_AT_EVERY_S
    before = list(services.table_as_it_is.scan())
    test.chat_input[0].set_value("Into whose table?").run()
    # In the app `ui.app.show_script_error` shows it, as every error that no page caught.
    assert test.exception
    with pytest.raises(StoreError, match=told):
        services.sign_ins.open(user)
    assert list(services.table_as_it_is.scan()) == before
    layout.write(services.table, Layout(NEWEST, "", ours.version + 1))  # the restore has come to its end
    clock.now += LOOKED_AT_EVERY_S
    test.run()
    assert not test.exception
    assert "Sign out" in texts(test)
