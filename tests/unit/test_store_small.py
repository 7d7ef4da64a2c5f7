"""Preferences, templates and keys."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.errors import InputRefused, VersionConflict
from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.store import keys
from codecoach.store.preferences import Preferences, UserPreferences
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Draft, Template, Templates

ANN, BOB = "ann@example.com", "bob@example.com"
SHEET = Sheet(
    'Say {"input": {text}}',
    "Be brief.",
    "So",
    (Example("a", "b"),),
    "single",
    "claude_messages",
    "m",
    Parameters(10, 0.25, None, 5, ("END",)),
    {"text": "你好"},
)


@pytest.fixture
def table(tmp_path):
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield table
    table.close()


# --- preferences ---


def test_choices_made_in_two_tabs_at_once_are_both_kept(table):
    preferences = Preferences(table)
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            choices = [{"language": f"{number}"}, {"model_id": f"{number}"}]
            list(pool.map(lambda choice: preferences.change(ANN, **choice), choices))
            assert preferences.get(ANN) == UserPreferences(f"{number}", f"{number}")
    with pytest.raises(TypeError):
        preferences.change(ANN, colour="red")


def test_preferences_are_each_users_own_and_empty_at_first(table):
    preferences = Preferences(table)
    chosen = UserPreferences("zh", "amazon.nova-lite-v1:0", "eu-west-1")
    preferences.put(ANN, chosen)
    assert preferences.get(ANN) == chosen
    assert preferences.get(BOB) == UserPreferences()


def test_the_last_good_test_of_each_model_is_kept(table):
    moments = iter(datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 9))
    preferences = Preferences(table, clock=lambda: next(moments))
    for model in ("a", "b", "a"):
        preferences.record_test(ANN, model)
    assert preferences.tested_models(ANN) == {
        "a": "2026-01-03T00:00:00.000000+00:00",
        "b": "2026-01-02T00:00:00.000000+00:00",
    }
    assert preferences.tested_models(BOB) == {}


# --- templates ---


def test_a_template_is_saved_changed_and_deleted(table):
    templates = Templates(table)
    saved = templates.save(Template("", ANN, " Sum  mary ", SHEET))
    assert templates.get(ANN, saved.id) == saved
    renamed = templates.rename(ANN, saved.id, "Abstract")
    assert saved.name == "Sum mary"
    assert (renamed.name, renamed.sheet, renamed.version) == ("Abstract", SHEET, 2)
    assert templates.list(ANN) == (renamed,)
    templates.delete(ANN, saved.id)
    templates.delete(ANN, saved.id)
    assert templates.list(ANN) == ()


def test_templates_are_their_owners_alone(table):
    templates = Templates(table)
    mine = templates.save(Template("", ANN, "Mine"))
    assert templates.get(BOB, mine.id) is None
    assert templates.list(BOB) == ()
    with pytest.raises(InputRefused):
        templates.rename(BOB, mine.id, "Stolen")


def test_templates_are_listed_by_name_whatever_their_number_and_size(table):
    templates = Templates(table)
    for number in range(120):
        templates.save(Template("", ANN, f"T{119 - number:03}", Sheet("x" * (500_000 if number == 60 else 1))))
    listed = templates.list(ANN)
    assert [template.name for template in listed] == [f"T{number:03}" for number in range(120)]
    assert len(listed[59].sheet.text) == 500_000


def test_a_template_changed_elsewhere_is_not_overwritten(table):
    templates = Templates(table)
    saved = templates.save(Template("", ANN, "T", Sheet("first")))
    templates.save(replace(saved, sheet=Sheet("second")))
    with pytest.raises(VersionConflict):
        templates.save(replace(saved, sheet=Sheet("third")))
    templates.delete(ANN, saved.id)
    with pytest.raises(VersionConflict):
        templates.save(replace(saved, sheet=Sheet("third")))


def test_every_save_is_a_version_that_can_be_had_back_until_the_template_goes(table):
    templates = Templates(table)
    saved = templates.save(Template("", ANN, "T", SHEET))
    changed = templates.save(replace(saved, sheet=Sheet("second")))
    assert [(version.number, version.sheet) for version in templates.versions(ANN, saved.id)] == [
        (2, Sheet("second")),
        (1, SHEET),
    ]
    restored = templates.save(replace(changed, sheet=templates.versions(ANN, saved.id)[1].sheet))
    assert (restored.version, templates.get(ANN, saved.id).sheet) == (3, SHEET)
    assert templates.versions(BOB, saved.id) == ()
    templates.delete(ANN, saved.id)
    assert templates.versions(ANN, saved.id) == ()
    assert [item.key for item in table.query(keys.user(ANN), keys.VERSION).items] == []


def test_a_crash_between_template_and_version_leaves_the_newest_version_readable(table):
    templates = Templates(table)
    saved = templates.save(Template("", ANN, "T", SHEET))
    table.delete(keys.template_version(ANN, saved.id, 1))
    assert [version.sheet for version in templates.versions(ANN, saved.id)] == [SHEET]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_template_needs_a_name(table, name):
    with pytest.raises(InputRefused):
        Templates(table).save(Template("", ANN, name))


def test_a_duplicate_is_a_template_of_its_own_and_no_copilot(table):
    templates = Templates(table)
    first = templates.set_copilot(ANN, templates.save(Template("", ANN, "T", SHEET)).id, True)
    copy = templates.duplicate(ANN, first.id, "U")
    assert (copy.sheet, copy.copilot, first.copilot) == (SHEET, False, True)
    assert copy.id != first.id


def test_the_draft_is_what_stood_there_last(table):
    templates = Templates(table)
    assert templates.draft(ANN) is None
    templates.keep_draft(ANN, Draft(Sheet("old")))
    templates.keep_draft(ANN, Draft(SHEET, "abc"))
    assert templates.draft(ANN) == Draft(SHEET, "abc")
    assert templates.draft(BOB) is None


# --- keys ---

moments = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-9))]),
    max_value=datetime(9000, 1, 1),  # noqa: DTZ001
)


@given(moments, moments)
def test_recent_keys_order_by_time_in_any_zone(one, other):
    first, second = (keys.recent(ANN, moment, "id").sort for moment in (one, other))
    assert (first < second) == (one < other)
    assert len(first) == len(second)


def test_ids_order_by_the_time_they_were_made():
    before = f"{time.time_ns() // 1_000_000:012x}"
    made = [keys.time_ordered_id() for _ in range(2000)]
    assert made == sorted(set(made))
    assert made[0] > before


def test_ids_of_threads_are_all_different():
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.time_ordered_id(), range(500)))
    assert len({one[:12] for one in made}) == 500


def test_an_id_orders_behind_one_from_a_clock_that_is_ahead():
    ahead = f"{(time.time_ns() // 1_000_000) + 60_000:012x}ffffffff"
    assert keys.time_ordered_id(after=ahead) > ahead
    assert keys.is_id(keys.time_ordered_id())
    assert keys.is_id(keys.new_id())


def test_parts_of_one_message_are_not_those_of_another_with_a_longer_id():
    short, long = keys.message("t", "12"), keys.message("t", "123")
    assert keys.part(short).sort.startswith(keys.parts_prefix(short))
    assert not keys.part(long).sort.startswith(keys.parts_prefix(short))
    assert keys.part(short) != keys.part(short)
