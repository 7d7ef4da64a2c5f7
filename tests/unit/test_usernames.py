"""Two accounts never look the same, and no way to type a name counts apart from the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.errors import InputRefused
from codecoach.store import usernames
from codecoach.store.accounts import Accounts
from codecoach.store.failures import Failures
from codecoach.store.sqlite import SqliteTable

ADMIN = "admin@example.com"
SAME = (
    "ADMIN@EXAMPLE.COM",
    "  admin@example.com\t",
    "ａｄｍｉｎ＠ｅｘａｍｐｌｅ．ｃｏｍ",  # full width
    "admin＠example.com",
    "𝐚𝐝𝐦𝐢𝐧@example.com",  # mathematical
    "ⓐdmin@example.com",
    "admin\N{NO-BREAK SPACE}@example.com".replace("\N{NO-BREAK SPACE}", "") + "\N{NO-BREAK SPACE}",
)
LOOKALIKE = (
    "аdmin@example.com",  # Cyrillic
    "admіn@example.com",
    "admin@exаmple.com",
    "αdmin@example.com",  # Greek
    "adm\u0131n@example.com",  # without its dot
    "ADM\u0130N@EXAMPLE.COM",  # with a dot on its capital
    "admin\u200b@example.com",  # no width
    "\ufeffadmin@example.com",
    "adm\u00adin@example.com",
    "\u202eadmin@example.com",  # from right to left
    "admin@example.com\0",
    "ad\0min@example.com",
    "admin @example.com",
    "admin@example.com\nroot@example.com",
    "a\u0301dmin@example.com",
    "admin@example.com\u2066",
    "\ud800admin@example.com",
)
NONE = (
    "",
    " ",
    "@",
    "admin",
    "admin@",
    "@example.com",
    "a@b@c",
    "a@-b",
    '"a b"@c',
    "x" * 260 + "@example.com",
    "#",
    "user#ann",
)


@pytest.fixture
def table(tmp_path):
    made = SqliteTable(tmp_path / "codecoach.sqlite")
    yield made
    made.close()


@pytest.fixture
def accounts(table):
    return Accounts(table)


@pytest.fixture
def failures(table):
    return Failures(table)


@pytest.mark.parametrize("typed", SAME)
def test_every_way_to_type_a_name_is_the_same_account(accounts, failures, typed):
    accounts.create(ADMIN, "hash")
    assert accounts.get(typed).username == ADMIN
    for _ in range(12):
        failures.begin(typed, "")
    assert failures.wait_s(ADMIN, "") > 0


@pytest.mark.parametrize("typed", [*LOOKALIKE, *NONE])
def test_what_only_looks_like_a_name_is_none(accounts, failures, typed):
    accounts.create(ADMIN, "hash")
    assert accounts.get(typed) is None
    with pytest.raises(InputRefused):
        accounts.create(typed, "hash")
    failures.begin(typed, "")  # counted all the same
    assert [account.username for account in accounts.all()] == [ADMIN]


def test_a_name_of_a_million_characters_is_refused_at_once(accounts):
    with pytest.raises(InputRefused):
        accounts.create("a" * 1_000_000 + "@example.com", "hash")
    assert accounts.get("\ufdfa" * 1_000_000) is None  # each becomes eighteen


@given(st.text(max_size=30), st.sampled_from(["", "@example.com", "@EXAMPLE.com"]))
def test_whatever_is_kept_is_plain_and_stays_as_it_is(typed, domain):
    name = usernames.normal(typed + domain)
    assert name.isascii()
    assert name == name.lower().strip()
    assert usernames.normal(name) == name
    assert name.isprintable()
