"""Settings, one's own account: the password, and where one is signed in."""

import pytest

from .conftest import PASSWORD, open_page, texts


@pytest.fixture
def here(services, user):
    return services.sign_ins.open(user, "Chrome, Windows", "203.0.113.7")


@pytest.fixture
def there(services, user):
    return services.sign_ins.open(user, "Safari, iPhone", "198.51.100.9")


@pytest.fixture
def page(services, user, here, there):
    return open_page("4_Settings", here).get("pills")[0].set_value("account").run()


def test_ones_open_sign_ins_are_listed_this_one_first(services, user, page):
    services.sign_ins.open(user)
    said = texts(page.run())
    assert said.index("Chrome, Windows :green-badge[This browser]") < said.index("Safari, iPhone")
    assert "203.0.113.7" in said
    assert "198.51.100.9" in said
    assert "Unknown browser" in said
    assert said.count("This browser") == 1


def test_one_of_them_is_ended_and_the_others_stay(services, user, here, there, page):
    other = services.sign_ins.open("bob@example.com")
    page.button(key=f"profile-end-{services.sign_ins.id_of(there)}").click().run()
    assert not page.exception
    assert "signed out" in page.success[0].value
    assert [services.sign_ins.find(sid) for sid in (here, there, other)] == [user, None, "bob@example.com"]
    assert "Safari, iPhone" not in texts(page)
    assert page.button(key="profile-everywhere-else").disabled


def test_this_one_cannot_be_ended_from_the_list(services, here, page):
    assert f"profile-end-{services.sign_ins.id_of(here)}" not in [button.key for button in page.button]


def test_everywhere_else_leaves_this_one(services, user, here, there, page):
    page.button(key="profile-everywhere-else").click().run()
    assert not page.exception
    assert [services.sign_ins.find(sid) for sid in (here, there)] == [user, None]


def test_everywhere_ends_this_one_too(services, here, there, page):
    page.button(key="profile-everywhere").click().run()
    assert not page.exception
    assert [services.sign_ins.find(sid) for sid in (here, there)] == [None, None]
    assert [field.label for field in page.text_input] == ["E-mail address", "Password"]


def test_a_long_list_is_cut(services, user, page):
    for _ in range(30):
        services.sign_ins.open(user)
    assert "And 12 more" in texts(page.run())


@pytest.mark.parametrize(
    ("new", "said"), [("Monkey2024", "list of leaked passwords"), ("ann@example.com!", "your own address")]
)
def test_a_password_that_is_easily_guessed_is_refused_with_why(services, user, page, new, said):
    before = services.accounts.get(user).password_hash
    for key, value in (("current", PASSWORD), ("new", new), ("again", new)):
        page.text_input(key=f"signin-{key}").set_value(value)
    next(button for button in page.button if button.label == "Change password").click().run()
    assert said in page.error[0].value
    assert services.accounts.get(user).password_hash == before


def test_the_language_chosen_here_is_kept_with_the_account(services, user, page):
    page.get("segmented_control")[-1].set_value("zh").run()
    assert services.preferences.get(user).language == "zh"
    assert "你的登录" in texts(page)
