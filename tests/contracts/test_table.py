"""What every Table must do, whatever keeps it: SQLite, DynamoDB Local and moto behind HTTP."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from codecoach.errors import ItemRefused, VersionConflict
from codecoach.store.items import ITEM_BYTES
from codecoach.store.port import Delete, Item, Key, Put, Table

KEY = Key("p", "s")


def put(table: Table, sort: str, partition: str = "p", **data: object) -> Item:
    return table.put(Item(Key(partition, sort), data))  # type: ignore[arg-type]


def sorts(page) -> list[str]:
    return [item.key.sort for item in page.items]


def walk(table: Table, prefix: str = "", **options) -> list[list[str]]:
    """The sort keys of all pages of a query."""
    pages, after = [], None
    while True:
        page = table.query("p", prefix, after=after, **options)
        pages.append(sorts(page))
        after = page.next
        if after is None:
            return pages


# --- what goes in comes out ---


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        True,
        False,
        0,
        -1,
        1.0,
        0.1,
        1e-300,
        1.7976931348623157e308,
        2**63,
        10**60,
        [],
        {},
        [None, "", {"": [1, 1.5, "x"]}],
        "héllo 你好 \U0001f600",
        "\x00\x01\x1b[31m\x7f\u2028\ufeff\ufffd\r\n\t\\\"'",
        "half a character: \ud83d",
        "e\u0301 is not \u00e9",
        " ",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_every_json_value_survives_unchanged(table, value):
    table.put(Item(KEY, {"value": value, "": value}))
    found = table.get(KEY)
    assert found is not None
    assert found.data == {"value": value, "": value}
    assert type(found.data["value"]) is type(value)


def test_an_empty_object_survives(table):
    assert table.put(Item(KEY, {})).version == 1
    assert table.get(KEY) == Item(KEY, {}, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(table, value):
    with pytest.raises(ItemRefused):
        table.put(Item(KEY, {"value": value}))


def test_what_is_not_there_is_none(table):
    assert table.get(KEY) is None
    assert table.query("p").items == ()


@pytest.mark.parametrize("sort", ["a#b", "ä/\\?%&= ", "nul\x00inside", "\U0001f600", "x" * 1024])
def test_keys_may_hold_any_character(table, sort):
    put(table, sort, value=1)
    assert table.get(Key("p", sort)).data == {"value": 1}
    assert sorts(table.query("p")) == [sort]


@pytest.mark.parametrize(
    "key", [Key("", "s"), Key("p", ""), Key("p", "x" * 1025), Key("é" * 1025, "s"), Key("p", "\ud83d")]
)
def test_a_key_that_no_store_takes_is_refused_everywhere(table, key):
    for attempt in (lambda: table.get(key), lambda: table.put(Item(key, {})), lambda: table.delete(key)):
        with pytest.raises(ItemRefused):
            attempt()
    with pytest.raises(ItemRefused):
        table.transact([Put(Item(key, {}))])


# --- size ---


def sized(size_bytes: int) -> Item:
    """An item that counts as this many bytes."""
    frame = len(KEY.partition) + len(KEY.sort) + len('{"t":""}') + 128
    return Item(KEY, {"t": "x" * (size_bytes - frame)})


def test_an_item_of_exactly_400_kb_is_kept(table):
    item = sized(ITEM_BYTES)
    table.put(item)
    assert table.get(KEY).data == item.data


def test_an_item_over_400_kb_is_refused_and_the_old_one_stays(table):
    put(table, "s", old=True)
    for _ in range(2):  # refused, and still refused
        with pytest.raises(ItemRefused):
            table.put(sized(ITEM_BYTES + 1))
        with pytest.raises(ItemRefused):
            table.transact([Put(sized(ITEM_BYTES + 1))])
    assert table.get(KEY).data == {"old": True}


def test_size_is_counted_in_bytes_not_characters(table):
    with pytest.raises(ItemRefused):
        table.put(Item(KEY, {"t": "你" * 134_000}))
    table.put(Item(KEY, {"t": "你" * 133_000}))


# --- versions ---


def test_versions_count_up(table):
    assert [table.put(Item(KEY, {"n": n})).version for n in range(3)] == [1, 2, 3]
    assert table.get(KEY) == Item(KEY, {"n": 2}, 3)


def test_creating_what_exists_conflicts(table):
    table.put(Item(KEY, {"n": 1}), expected_version=0)
    with pytest.raises(VersionConflict):
        table.put(Item(KEY, {"n": 2}), expected_version=0)
    assert table.get(KEY).data == {"n": 1}


@pytest.mark.parametrize("stored", [0, 1, 3])
def test_a_wrong_version_conflicts(table, stored):
    for _ in range(stored):
        table.put(Item(KEY, {"n": 1}))
    with pytest.raises(VersionConflict):
        table.put(Item(KEY, {"n": 2}), expected_version=2)
    with pytest.raises(VersionConflict):
        table.delete(KEY, expected_version=2)
    assert (table.get(KEY) is None) == (stored == 0)


def test_the_right_version_is_replaced_and_deleted(table):
    first = table.put(Item(KEY, {"n": 1}))
    second = table.put(Item(KEY, {"n": 2}), expected_version=first.version)
    assert second.version == 2
    table.delete(KEY, expected_version=2)
    assert table.get(KEY) is None


def test_deleting_what_is_not_there_is_no_error(table):
    put(table, "other")
    table.delete(KEY)
    table.delete(KEY, expected_version=0)
    assert sorts(table.query("p")) == ["other"]


def test_deleting_on_condition_that_nothing_is_there_conflicts_with_something(table):
    put(table, "s")
    with pytest.raises(VersionConflict):
        table.delete(KEY, expected_version=0)


def at_once(count: int, attempt) -> list[bool]:
    """Run the same attempt in threads at the same moment; which of them met no conflict."""
    barrier = threading.Barrier(count)

    def run(number: int) -> bool:
        barrier.wait()
        try:
            attempt(number)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_of_writers_with_the_same_version_one_wins(table):
    put(table, "s", n=-1)
    won = at_once(6, lambda n: table.put(Item(KEY, {"n": n}), expected_version=1))
    assert won.count(True) == 1
    assert table.get(KEY) == Item(KEY, {"n": won.index(True)}, 2)


def test_of_deleters_with_the_same_version_one_wins(table):
    put(table, "s")
    assert at_once(6, lambda n: table.delete(KEY, expected_version=1)).count(True) == 1


def test_of_creators_one_wins(table):
    won = at_once(6, lambda n: table.transact([Put(Item(KEY, {"n": n}), 0), Put(Item(Key("q", str(n)), {}), 0)]))
    assert won.count(True) == 1
    assert table.get(KEY).data == {"n": won.index(True)}
    assert sorts(table.query("q")) == [str(won.index(True))]


# --- transactions ---


def test_a_transaction_does_all(table):
    put(table, "gone")
    put(table, "changed", n=1)
    table.transact(
        [
            Delete(Key("p", "gone"), 1),
            Put(Item(Key("p", "changed"), {"n": 2}), 1),
            Put(Item(Key("other", "new"), {"n": 3}), 0),
            Put(Item(Key("p", "any"), {"n": 4})),
            Delete(Key("p", "never was")),
        ]
    )
    assert [(item.key.sort, item.data, item.version) for item in table.query("p").items] == [
        ("any", {"n": 4}, 1),
        ("changed", {"n": 2}, 2),
    ]
    assert table.get(Key("other", "new")) == Item(Key("other", "new"), {"n": 3}, 1)


@pytest.mark.parametrize(
    "condition",
    [
        Put(Item(Key("p", "there"), {"n": 9}), 0),
        Put(Item(Key("p", "there"), {"n": 9}), 7),
        Delete(Key("p", "there"), 7),
        Delete(Key("p", "there"), 0),
        Put(Item(Key("p", "absent"), {}), 1),
        Delete(Key("p", "absent"), 1),
    ],
)
def test_a_transaction_does_nothing_where_one_condition_fails(table, condition):
    put(table, "there", n=1)
    put(table, "doomed", n=1)
    with pytest.raises(VersionConflict):
        table.transact([Put(Item(Key("p", "new"), {})), Delete(Key("p", "doomed")), condition])
    assert [(item.key.sort, item.data) for item in table.query("p").items] == [
        ("doomed", {"n": 1}),
        ("there", {"n": 1}),
    ]


def test_an_empty_transaction_does_nothing(table):
    put(table, "s")
    table.transact([])
    assert sorts(table.query("p")) == ["s"]


def test_a_transaction_has_at_most_100_operations(table):
    table.transact([Put(Item(Key("p", f"{n:03}"), {})) for n in range(100)])
    assert len(table.query("p", limit=200).items) == 100
    with pytest.raises(ItemRefused):
        table.transact([Put(Item(Key("q", f"{n:03}"), {})) for n in range(101)])
    assert table.query("q").items == ()


def test_a_transaction_touches_an_item_once(table):
    with pytest.raises(ItemRefused):
        table.transact([Put(Item(KEY, {})), Delete(KEY)])


def test_a_transaction_of_over_4_mb_is_refused(table):
    big = [Put(Item(Key("p", f"{n}"), {"t": "x" * 390_000})) for n in range(11)]
    with pytest.raises(ItemRefused):
        table.transact(big)
    table.transact(big[:10])
    assert len(sorts(table.query("p"))) == 10


# --- queries ---


def test_sort_keys_order_by_their_utf_8_bytes(table):
    ordered = ["#", "0", "10", "9", "A", "Z", "a", "a#1", "a1", "b", "é", "\uffee", "\U0001f600"]
    for sort in reversed(ordered):
        put(table, sort)
    assert sorts(table.query("p")) == ordered
    assert sorts(table.query("p", newest_first=True)) == ordered[::-1]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(("count", "limit", "sizes"), [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 3, [3]), (1, 5, [1])])
def test_pages_are_full_and_the_last_one_says_so(table, newest_first, count, limit, sizes):
    names = [f"s{n}" for n in range(count)]
    for sort in names:
        put(table, sort)
    pages = walk(table, limit=limit, newest_first=newest_first)
    assert [len(page) for page in pages] == sizes
    assert [sort for page in pages for sort in page] == (names[::-1] if newest_first else names)


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_prefix_bounds_a_query_page_by_page(table, newest_first):
    for sort in ("m", "m#1", "m#2", "m#3", "m#é", "m$", "l#9", "n"):
        put(table, sort)
    expected = ["m#1", "m#2", "m#3", "m#é"]
    pages = walk(table, "m#", limit=2, newest_first=newest_first)
    assert [sort for page in pages for sort in page] == (expected[::-1] if newest_first else expected)


def test_a_query_sees_its_own_partition_only(table):
    put(table, "a", partition="p")
    put(table, "a", partition="p2")
    put(table, "b", partition="P")
    assert [item.key for item in table.query("p").items] == [Key("p", "a")]


def test_paging_goes_on_where_it_was_though_items_come_and_go(table):
    for n in range(6):
        put(table, f"s{n}")
    page = table.query("p", limit=3)
    table.delete(Key("p", "s2"))
    put(table, "s1x")
    assert sorts(table.query("p", limit=3, after=page.next)) == ["s3", "s4", "s5"]


def test_pages_of_large_items_are_full(table):
    for n in range(8):
        put(table, f"s{n}", t="x" * 300_000)
    page = table.query("p", limit=7)
    assert sorts(page) == [f"s{n}" for n in range(7)]
    assert page.next is not None


# --- batches ---


def test_a_batch_holds_what_exists_each_once(table):
    put(table, "a", n=1)
    put(table, "b", n=2)
    keys = [Key("p", "b"), Key("p", "a"), Key("p", "none"), Key("p", "a")]
    assert {key.sort: item.data["n"] for key, item in table.batch_get(keys).items()} == {"a": 1, "b": 2}
    assert table.batch_get([]) == {}


def test_a_batch_may_have_over_100_keys(table):
    for n in range(120):
        put(table, f"{n}", n=n)
    found = table.batch_get([Key("p", str(n)) for n in range(250)])
    assert {item.data["n"] for item in found.values()} == set(range(120))


def test_a_batch_may_be_larger_than_one_answer(table):
    """DynamoDB answers at most 16 MB and leaves the rest unprocessed."""
    for n in range(44):
        put(table, f"{n}", t=f"{n}" + "x" * 390_000)
    found = table.batch_get([Key("p", str(n)) for n in range(44)])
    assert {key.sort for key in found} == {str(n) for n in range(44)}


# --- all of it, for a backup ---


def test_a_scan_tells_every_item_once_each_partition_in_order(table):
    for partition in ("b", "a", "ä#"):
        for sort in ("2", "1", "10"):
            put(table, sort, partition, n=sort)
    put(table, "1", "a", n="again")
    found = list(table.scan())
    assert len(found) == 9
    assert {item.key.partition for item in found} == {"a", "b", "ä#"}
    for partition in ("a", "b", "ä#"):
        own = [item for item in found if item.key.partition == partition]
        assert own == list(table.query(partition).items)


def test_a_scan_of_an_empty_table_is_empty(table):
    assert list(table.scan()) == []


def test_a_scan_may_be_larger_than_one_answer(table):
    """DynamoDB answers at most 1 MB at a time."""
    for n in range(8):
        put(table, f"{n}", t="x" * 300_000)
    assert sorted(item.key.sort for item in table.scan()) == [f"{n}" for n in range(8)]


def test_a_scan_leaves_out_what_has_expired(table, clock):
    table.put(Item(KEY, {}, expires_at=int(clock.now) + 1))
    put(table, "stays")
    assert len(list(table.scan())) == 2
    clock.now += 1
    assert [item.key.sort for item in table.scan()] == ["stays"]


def test_a_scan_may_be_left_before_its_end_and_written_beside(table):
    for n in range(5):
        put(table, f"{n}")
    scan = table.scan()
    first = next(scan)
    table.put(Item(first.key, {"changed": True}))
    scan.close()
    assert table.get(first.key).data == {"changed": True}
    assert len(list(table.scan())) == 5


def test_what_is_restored_has_the_version_that_it_had(table):
    put(table, "there", old=True)
    items = [
        Item(Key("p", "there"), {"n": 1}, 7),
        Item(Key("q", "new"), {"half": "\ud83d", "big": 10**40}, 3, expires_at=4_100_000_000),
        *(Item(Key("r", f"{n:03}"), {"n": n}, n + 1) for n in range(60)),
    ]
    for _ in range(2):  # again changes nothing
        table.restore(items)
        assert sorted(table.scan(), key=lambda item: item.key) == items
    assert table.put(Item(Key("p", "there"), {"n": 2}), expected_version=7).version == 8


def test_nothing_is_restored_where_one_item_is_refused(table):
    with pytest.raises(ItemRefused):
        table.restore([Item(KEY, {}, 1), sized(ITEM_BYTES + 1)])
    assert table.get(KEY) is None
    table.restore([])


# --- expiry ---


def test_expired_items_are_gone_for_every_reader(table, clock):
    table.put(Item(KEY, {"n": 1}, expires_at=int(clock.now) + 60))
    put(table, "stays")
    assert table.get(KEY).expires_at == int(clock.now) + 60
    clock.now += 59
    assert sorts(table.query("p")) == ["s", "stays"]
    clock.now += 1
    assert table.get(KEY) is None
    assert table.batch_get([KEY]) == {}
    assert sorts(table.query("p")) == ["stays"]


def test_expired_items_do_not_shorten_pages(table, clock):
    for n in range(9):
        table.put(Item(Key("p", f"s{n}"), {}, expires_at=None if n % 3 == 0 else int(clock.now) + 1))
    clock.now += 1
    assert walk(table, limit=2) == [["s0", "s3"], ["s6"]]


def test_an_expired_item_is_no_obstacle_to_its_successor(table, clock):
    table.put(Item(KEY, {"n": 1}, expires_at=int(clock.now) + 1))
    clock.now += 1
    with pytest.raises(VersionConflict):
        table.put(Item(KEY, {"n": 2}), expected_version=1)
    with pytest.raises(VersionConflict):
        table.delete(KEY, expected_version=1)
    created = table.put(Item(KEY, {"n": 3}), expected_version=0)
    assert created.version == 1
    assert table.get(KEY) == Item(KEY, {"n": 3}, 1)


def test_an_item_that_is_put_without_expiry_stays(table, clock):
    table.put(Item(KEY, {"n": 1}, expires_at=int(clock.now) + 1))
    table.put(Item(KEY, {"n": 2}))
    clock.now += 10
    assert table.get(KEY).data == {"n": 2}


def test_a_store_says_what_it_is(table):
    assert table.ping().split()[0] in ("SQLite", "DynamoDB")
