"""Test cases: rows of values for a prompt's variables, and what is expected of the answers. They come from CSV and go to CSV."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from codecoach.errors import InputRefused
from codecoach.lab import template

CheckKind = Literal["contains", "regex", "json_schema", "judge", "code"]

# The column that a check asks for what a row expects, unless it says otherwise.
EXPECTED: Final = "expected"
MAX_ROWS: Final = 2_000
MAX_BYTES: Final = 5_000_000
_DELIMITERS: Final = ",;\t"
# A cell that begins so is a formula to a spreadsheet, which may send what else is in the sheet somewhere.
# Source: OWASP, "CSV Injection"; Excel in Chinese and Japanese takes the wide signs for the same.
_FORMULA: Final = (*"=+-@", "\t", "\r", "\n", *"＝＋－＠")


@dataclass(frozen=True)
class Check:
    """What an answer must be to pass.

    contains     holds the expected text
    regex        the pattern, in Python's syntax, is found in it
    json_schema  is JSON, bare or in a fence, that the schema accepts
    judge        a model finds that it does what is expected
    code         holds a program that runs to its end with exit code 0 and, where something is expected, prints it

    expected  may hold variables, which are the columns of a row. Where it is filled with nothing, a row is not checked so;
              its program must run all the same
    whole     the answer, or what the program prints, is the expected text and nothing else, but for white space around it
    model_id  of the judge
    """

    kind: CheckKind
    expected: str = f"{{{EXPECTED}}}"
    whole: bool = False
    model_id: str = ""

    def wanted(self, values: Mapping[str, str]) -> str:
        """What a row of these values expects."""
        names = template.variables(self.expected)
        return template.render(self.expected, {name: values.get(name, "") for name in names}).strip()


@dataclass(frozen=True)
class Cases:
    """Rows of texts, as long as `columns`; a column is a variable, or what the checks ask for."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    checks: tuple[Check, ...] = ()

    def values(self, row: int) -> dict[str, str]:
        """The row as a mapping from columns to texts."""
        return dict(zip(self.columns, self.rows[row], strict=True))

    def with_columns(self, names: tuple[str, ...]) -> "Cases":
        """The same with these columns first, in this order; none is taken away, new ones are empty."""
        columns = tuple(dict.fromkeys((*names, *self.columns)))
        rows = [self.values(row) for row in range(len(self.rows))]
        return Cases(columns, tuple(tuple(row.get(name, "") for name in columns) for row in rows), self.checks)


def from_csv(data: bytes) -> Cases:
    """The rows of a CSV file whose first line names the columns; commas, semicolons or tabs. Empty lines are passed over.

    Raises `InputRefused` that says what is wrong, and where.
    """
    if len(data) > MAX_BYTES:
        raise InputRefused("lab_csv_too_large", megabytes=MAX_BYTES // 1_000_000)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputRefused("lab_csv_encoding") from error
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise InputRefused("lab_csv_line", line=reader.line_num) from error
    columns = tuple(name.strip() for name in lines[0][1]) if lines else ()
    if not all(columns) or not columns or len(set(columns)) < len(columns):
        raise InputRefused("lab_csv_head")
    if len(lines) - 1 > MAX_ROWS:
        raise InputRefused("lab_csv_rows", most=MAX_ROWS)
    for number, line in lines[1:]:
        if len(line) > len(columns):
            raise InputRefused("lab_csv_line", line=number)
    rows = tuple((*line, *[""] * (len(columns) - len(line))) for _, line in lines[1:])
    return Cases(columns, rows)


def to_csv(cases: Cases) -> bytes:
    """The rows as CSV; `from_csv` reads the same from it."""
    return _written([cases.columns, *cases.rows])


def table_csv(rows: list[list[Any]]) -> bytes:
    """A table as CSV for spreadsheets, the first row its head: nothing that a model wrote is a formula in it."""
    return _written([[_harmless(cell) for cell in row] for row in rows])


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _written(rows: Any) -> bytes:  # noqa: ANN401 - whatever csv can write
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    # With a mark at the beginning: without it Excel takes Chinese for its system's own encoding.
    return buffer.getvalue().encode("utf-8-sig")
