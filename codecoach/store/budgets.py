"""How much of the models a user may use, where an administrator has set it otherwise than the settings do.

Kept apart from the account, so that whoever changes the one never crosses a change of the other.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Final, cast

from codecoach.errors import InputRefused
from codecoach.store import keys
from codecoach.store.port import Item, Json, Table
from codecoach.store.records import from_time, now

# A million dollars, or a billion tokens: more is a slip of the hand.
MOST: Final = {"dollars": 10**12, "tokens": 10**12}
_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Budget:
    """Limits; dollars in millionths. 0: no limit. None: that of the settings.

    month_*         what a user may use in a calendar month (UTC)
    conversation_*  what one conversation may use in all
    message_*       what one call to a model may use, its question with all that is sent along
    """

    month_micro_dollars: int | None = None
    month_tokens: int | None = None
    conversation_micro_dollars: int | None = None
    conversation_tokens: int | None = None
    message_micro_dollars: int | None = None
    message_tokens: int | None = None
    version: int = field(default=0, compare=False)

    def or_else(self, defaults: "Budget") -> "Budget":
        """These limits, those of `defaults` where none is given."""
        given = {name: value for name, value in self.limits.items() if value is not None}
        return replace(defaults, **given, version=self.version)

    @property
    def limits(self) -> dict[str, int | None]:
        """Each limit by its name."""
        return {name: value for name, value in asdict(self).items() if name != "version"}


_NAMES: Final = tuple(one.name for one in fields(Budget) if one.name != "version")


class Budgets:
    """The limits that administrators have set."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._table = table
        self._clock = clock

    def get(self, username: str) -> Budget:
        """What was set for a user; all None where nothing was."""
        return budget_of(self._table.get(keys.budget(username)))

    def all(self) -> dict[str, Budget]:
        """What was set for whom."""
        found: dict[str, Budget] = {}
        after: str | None = None
        while True:
            page = self._table.query(keys.BUDGETS, limit=_AT_ONCE, after=after)
            found |= {item.key.sort: budget_of(item) for item in page.items}
            after = page.next
            if after is None:
                return found

    def put(self, username: str, budget: Budget, by: str) -> Budget:
        """Set a user's limits; `by` is who does.

        Raises `InputRefused` for a limit that is none, `VersionConflict` where somebody else has set them meanwhile.
        """
        for name, value in budget.limits.items():
            if value is not None and not 0 <= value <= MOST["tokens" if name.endswith("tokens") else "dollars"]:
                raise InputRefused("budget_refused")
        data: dict[str, Json] = {**budget.limits, "by": by, "at": from_time(self._clock())}
        item = self._table.put(Item(keys.budget(username), data), expected_version=budget.version)
        return budget_of(item)


def budget_of(item: Item | None) -> Budget:
    """The limits in an item."""
    if item is None:
        return Budget()
    limits = {name: cast("int | None", item.data.get(name)) for name in _NAMES}
    return Budget(**limits, version=item.version)
