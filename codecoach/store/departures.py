"""Deleting somebody for good, with everything they wrote.

    1  conversations, programs and evaluations, each as its owner would delete it: what is being written to them stops
    2  answers on the bench of the Prompt Lab
    3  whatever else is the user's: templates, test sets, preferences, drafts
    4  failed sign-ins, the last one, and the limits that an administrator gave
    5  the account

The account comes last, so that a deletion at which we died is seen, and goes on when it is asked for again. Whoever asks has
closed the account and ended its sign-ins before, or its owner could go on writing. What the models have cost is kept: it was
spent, and the months' sums must stay right.
"""

from collections.abc import Sequence

from codecoach.store import keys
from codecoach.store.accounts import Accounts, normal
from codecoach.store.conversations import Conversations
from codecoach.store.evaluations import Evaluations
from codecoach.store.large import LargeItems
from codecoach.store.last_sign_ins import LastSignIns
from codecoach.store.port import Table
from codecoach.store.programs import Programs
from codecoach.store.purging import Purging


class Departures:
    """Takes users and all that is theirs out of a table."""

    def __init__(self, table: Table, accounts: Accounts) -> None:
        self._table = table
        self._large = LargeItems(table)
        self._purging = Purging(table)
        self._conversations = Conversations(table)
        self._accounts = accounts

    def delete(self, username: str, bench_places: Sequence[str]) -> None:
        """Delete an account and all that is its owner's; `bench_places` name the answers on a bench (`keys.bench`)."""
        name = normal(username)
        self._delete_threads(name)
        for place in bench_places:
            self._delete_answer(keys.bench(name, place))
        while self._table.query(keys.user(name), keys.PURGE, limit=1).items:
            self._purging.finish(name)
        self._large.delete_range(keys.user(name), "")
        self._large.delete_range(keys.failures(f"username {name}").partition, "")
        LastSignIns(self._table).forget(name)
        self._table.delete(keys.budget(name))
        self._accounts.delete(name)

    def _delete_threads(self, name: str) -> None:
        kinds = (
            (keys.CONVERSATION, self._conversations.delete),
            (keys.PROGRAM, Programs(self._table).delete),
            (keys.EVALUATION, Evaluations(self._table).delete),
        )
        for prefix, delete in kinds:
            while found := self._table.query(keys.user(name), prefix).items:
                for item in found:
                    delete(name, item.key.sort.removeprefix(prefix))
                    self._table.delete(item.key)  # also where it lists what is not there, or this would never end

    def _delete_answer(self, thread_id: str) -> None:
        # Not marked as gone, as threads with an id of their own are: the address may get an account again, and this bench with it.
        while found := self._table.query(keys.thread(thread_id), keys.MESSAGE).items:
            for item in found:  # one by one: what is being written stops
                self._conversations.delete_message(thread_id, item.key.sort.removeprefix(keys.MESSAGE))
        self._large.delete_range(keys.thread(thread_id), keys.PART)
