"""Whatever people type, no key is another's, and no query finds another's."""

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.store import keys
from codecoach.store.port import Key

# What is made to be taken for something else, and anything else.
NASTY = (
    "#", "##", "", " ", "a#b", "message#", "recent#", "part#message#1#", "user#ann@example.com", "thread#1", "count", "known#",
    "ann@example.com#", "ann@example.com", "ann@example.com ", "\0", "a\0b", ".", "1.2.0", ".explained", "lab-", "/", "..",
)  # fmt: skip
TYPED = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=40), st.lists(st.sampled_from(NASTY), max_size=3).map("".join)
)
IDS = st.text("0123456789abcdef", min_size=1, max_size=24)
NUMBERS = st.integers(0, 9999)
MOMENTS = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))

# Each function that makes a key, with what it may be given: ids are ours (`is_id`), all else is typed by people.
MAKERS: dict[str, tuple[Callable[..., Key], tuple[st.SearchStrategy, ...]]] = {
    "account": (keys.account, (TYPED,)),
    "failures": (keys.failures, (TYPED,)),
    "failures_from": (keys.failures_from, (TYPED, TYPED)),
    "known_address": (keys.known_address, (TYPED, TYPED)),
    "ticket": (keys.ticket, (TYPED,)),
    "arrival": (keys.arrival, (TYPED,)),
    "invitation": (keys.invitation, (TYPED,)),
    "last_sign_in": (keys.last_sign_in, (TYPED,)),
    "sign_in": (keys.sign_in, (IDS,)),
    "user_sign_in": (keys.user_sign_in, (TYPED, IDS)),
    "preferences": (keys.preferences, (TYPED,)),
    "tested_models": (keys.tested_models, (TYPED,)),
    "conversation": (keys.conversation, (TYPED, IDS)),
    "recent": (keys.recent, (TYPED, MOMENTS, IDS)),
    "purge": (keys.purge, (TYPED, IDS)),
    "template": (keys.template, (TYPED, IDS)),
    "template_version": (keys.template_version, (TYPED, IDS, NUMBERS)),
    "lab_draft": (keys.lab_draft, (TYPED,)),
    "cases": (keys.cases, (TYPED, IDS)),
    "evaluation": (keys.evaluation, (TYPED, IDS)),
    "program": (keys.program, (TYPED, IDS)),
    "plan": (keys.plan, (IDS,)),
    "outcome": (keys.outcome, (IDS, NUMBERS, NUMBERS)),
    "program_body": (keys.program_body, (IDS,)),
    "message": (keys.message, (IDS, IDS)),
    "run": (keys.run, (IDS, IDS)),
    "stop": (keys.stop, (IDS, IDS)),
    "gone": (keys.gone, (IDS,)),
    "usage": (keys.usage, (st.sampled_from(("2026-11", "2026-12")), TYPED)),
    "budget": (keys.budget, (TYPED,)),
    "spent": (keys.spent, (IDS,)),
}
MADE = st.sampled_from(sorted(MAKERS)).flatmap(lambda name: st.tuples(st.just(name), st.tuples(*MAKERS[name][1])))
# What is asked for with `begins_with`, of one owner or thread.
PREFIXES = tuple(
    prefix
    for prefix in vars(keys).values()
    if isinstance(prefix, str) and re.fullmatch(r"[a-z-]+#", prefix)
)  # fmt: skip


def key(made: tuple[str, tuple[object, ...]]) -> Key:
    return MAKERS[made[0]][0](*made[1])


def test_every_function_that_makes_a_key_is_tried_here():
    makers = {
        name
        for name, value in vars(keys).items()
        if callable(value) and getattr(value, "__annotations__", {}).get("return") is Key
    }
    assert makers - {"part", "Key"} == MAKERS.keys()
    assert len(PREFIXES) >= 12


@given(MADE, MADE)
def test_different_things_have_different_keys(one, other):
    if one != other:
        assert key(one) != key(other)


@given(
    st.sampled_from(sorted(MAKERS)).flatmap(
        lambda name: st.tuples(st.just(name), st.tuples(*MAKERS[name][1]), st.tuples(*MAKERS[name][1]))
    )
)
def test_the_same_kind_of_thing_has_the_same_key_only_where_it_is_the_same(named):
    name, one, other = named
    assert (key((name, one)) == key((name, other))) == (one == other)


@given(MADE, TYPED, st.sampled_from(PREFIXES))
def test_a_query_for_a_users_things_finds_only_this_users_of_this_kind(made, owner, prefix):
    found = key(made)
    if found.partition == keys.user(owner) and found.sort.startswith(prefix):
        assert made[1][0] == owner
        assert made[0].replace("_", "-") in (prefix[:-1], f"user-{prefix[:-1]}", f"template-{prefix[:-1]}")


@given(IDS, IDS, NUMBERS)
def test_the_versions_of_a_template_are_not_those_of_one_whose_id_begins_alike(one, other, number):
    found = keys.template_version("ann@example.com", other, number).sort.startswith(keys.template_versions(one))
    assert found == (one == other)


@given(MADE, MADE)
def test_the_parts_of_an_item_are_not_those_of_another(one, other):
    first, second = key(one), key(other)
    if first.partition == second.partition and first != second and first.sort != "":
        assert not keys.part(second).sort.startswith(keys.parts_prefix(first))
        assert keys.part(second) != first


@given(IDS, IDS, NUMBERS, TYPED, TYPED, st.sampled_from(("one", "two", "column-1")))
def test_the_threads_beside_a_thread_are_no_other_threads(thread, message, number, owner, other, place):
    beside = [thread, keys.explanations(thread), keys.block(thread, message, number)]
    benches = {keys.bench(owner, place), keys.bench(other, place)}
    assert len({*beside, *benches}) == 3 + len({owner, other})
    assert keys.ran(beside[2]) == (keys.message(thread, message), Key(keys.thread(thread), f"ran#{message}.{number}"))
    assert keys.ran(beside[0]) is None
    assert keys.ran(beside[1]) is None


@pytest.mark.parametrize("typed", [*NASTY, "x" * 1_000_000, "ab\n", "ａｂ", "٣", "A1", "abc "])
def test_what_a_person_types_is_an_id_only_where_it_is_written_as_ours_are(typed):
    assert not keys.is_id(typed)


def test_an_id_that_is_made_up_does_not_move_the_clock_of_ids():
    before = keys.time_ordered_id()
    for made_up in ("f" * 24, "ffffffffffff", "zz", "message#1", "\0"):
        after = keys.time_ordered_id(made_up)
        assert before < after
        assert int(after[:12], 16) - int(before[:12], 16) < keys.CLOCKS_DIFFER_MS
        assert len(after) == len(before)


def test_prefixes_of_one_partition_do_not_begin_one_another():
    assert [pair for pair in itertools.permutations(PREFIXES, 2) if pair[0].startswith(pair[1])] == []
