"""What a user has chosen."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from codecoach.store import keys
from codecoach.store.changing import change
from codecoach.store.port import Item, Table
from codecoach.store.records import from_time, now


@dataclass(frozen=True)
class UserPreferences:
    """A user's choices; empty: the default of the place.

    language  of the interface, `en` or `zh`
    model_id  the model that chat uses
    region    AWS region of Bedrock
    """

    language: str = ""
    model_id: str = ""
    region: str = ""


class Preferences:
    """The choices of all users."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._table = table
        self._clock = clock

    def get(self, username: str) -> UserPreferences:
        """A user's choices; the defaults where nothing was chosen."""
        item = self._table.get(keys.preferences(username))
        stored = item.data if item else {}
        return UserPreferences(**{name: str(stored.get(name, "")) for name in UserPreferences.__dataclass_fields__})

    def put(self, username: str, preferences: UserPreferences) -> None:
        """Keep a user's choices."""
        self._table.put(Item(keys.preferences(username), asdict(preferences)))

    def change(self, username: str, **changes: str) -> None:
        """Change some of a user's choices; what another tab changes at the same moment stays."""
        unknown = changes.keys() - UserPreferences.__dataclass_fields__.keys()
        if unknown:
            raise TypeError(f"no such choices: {', '.join(sorted(unknown))}")
        change(self._table, keys.preferences(username), lambda data: (data or {}) | changes)

    def tested_models(self, username: str) -> dict[str, str]:
        """When each model last passed this user's test: {model id: ISO 8601 time}."""
        item = self._table.get(keys.tested_models(username))
        return cast(dict[str, str], dict(item.data)) if item else {}

    def record_test(self, username: str, model_id: str) -> None:
        """Note that a model has just passed the test."""
        moment = from_time(self._clock())
        change(self._table, keys.tested_models(username), lambda data: (data or {}) | {model_id: moment})
