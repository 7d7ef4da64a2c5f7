"""All items of a query, however many pages they take."""

from collections.abc import Iterator
from typing import Final

from codecoach.store.large import LargeItems
from codecoach.store.port import Item, Table

_PAGE: Final = 1000


def everything(table: Table | LargeItems, partition: str, sort_prefix: str) -> Iterator[Item]:
    """Every item of a partition whose sort key starts with `sort_prefix`, in sort order."""
    after: str | None = None
    while True:
        page = table.query(partition, sort_prefix, limit=_PAGE, after=after)
        yield from page.items
        after = page.next
        if after is None:
            return
