"""Home says how the parts are at the moment it is looked at."""

from codecoach.ui import parts

from .conftest import open_page, texts


def test_home_shows_what_the_checks_find_that_it_started_itself(services, user):
    services.directory.answers = False
    home = open_page("Home", services.sign_ins.open(user))
    assert parts.of(services).settled(60)
    assert "The model does not answer" in texts(home.run())
    services.directory.answers = True
    parts.of(services).refresh()
    shown = texts(home.run())
    assert not home.exception
    assert "The model does not answer" not in shown
    assert "First Model" in shown
