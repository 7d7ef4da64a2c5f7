"""Test cases: what a row expects, and CSV in and out."""

import pytest

from codecoach.errors import InputRefused
from codecoach.lab.cases import MAX_BYTES, MAX_ROWS, Cases, Check, from_csv, table_csv, to_csv


def test_what_is_written_as_csv_is_read_the_same():
    cases = Cases(("text", "expected"), (('a "quoted", cell', "two\nlines"), ("", "词"), ("=1+1", " spaces ")))
    assert from_csv(to_csv(cases)) == cases


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_of_any_spreadsheet_is_understood(delimiter):
    data = f"\ufefftext{delimiter}expected\r\nhello{delimiter}hi\r\n\r\nshort\r\n".encode()
    assert from_csv(data) == Cases(("text", "expected"), (("hello", "hi"), ("short", "")))


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"", "lab_csv_head"),
        (b"a,,b\n1,2,3\n", "lab_csv_head"),
        (b"a,a\n1,2\n", "lab_csv_head"),
        (b"a,b\n1,2\n1,2,3\n", "lab_csv_line"),
        (b'a,b\n"1,2\n', "lab_csv_line"),
        (b"a\n\xff\xfe\n", "lab_csv_encoding"),
        (b"a\n" + b"1\n" * (MAX_ROWS + 1), "lab_csv_rows"),
        (b"a\n" + b"1" * MAX_BYTES, "lab_csv_too_large"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(data, key):
    with pytest.raises(InputRefused) as refused:
        from_csv(data)
    assert refused.value.key == key


def test_a_wrong_line_is_named():
    with pytest.raises(InputRefused) as refused:
        from_csv(b"a,b\n1,2\n\n1,2,3\n")
    assert refused.value.values == {"line": 4}


def test_what_is_expected_is_filled_from_the_row_and_its_other_braces_stay():
    values = {"expected": "Paris", "land": "France"}
    assert Check("contains").wanted(values) == "Paris"
    assert Check("regex", r"^{land}: \w{3,9}$").wanted(values) == r"^France: \w{3,9}$"
    assert Check("json_schema", '{"const": "{expected}"}').wanted(values) == '{"const": "Paris"}'
    assert Check("contains").wanted({"land": "France"}) == "", "a row without the column expects nothing"


def test_columns_are_added_and_none_is_lost():
    cases = Cases(("b", "expected"), (("1", "2"),))
    assert cases.with_columns(("a", "b")) == Cases(("a", "b", "expected"), (("", "1", "2"),))


def test_nothing_in_an_exported_table_is_a_formula():
    rows = [["answer"], ["=HYPERLINK(1)"], ["＝1+1"], ["fine"], [-1]]
    assert table_csv(rows).decode("utf-8-sig") == "answer\r\n'=HYPERLINK(1)\r\n'＝1+1\r\nfine\r\n-1\r\n"


def test_excel_reads_what_is_written_as_utf_8():
    for data in (to_csv(Cases(("词",), (("云",),))), table_csv([["词"]])):
        assert data.startswith(b"\xef\xbb\xbf")
