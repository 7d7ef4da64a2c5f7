"""A cap on what work may cost that is kept beforehand: what might exceed it is not begun."""

import threading


class Spending:
    """Dollars spent, and held back for what is under way. Safe to use from any thread.

    cap  None: no cap
    """

    def __init__(self, cap: float | None, spent: float = 0.0) -> None:
        self._cap = cap
        self._spent = spent
        self._held: dict[object, float] = {}
        self._changed = threading.Condition()

    @property
    def spent(self) -> float:
        return self._spent

    def hold(self, holder: object, most: float) -> bool:
        """Hold back what something may cost at most; wait where only what is under way stands in between.

        False where it does not fit though nothing is under way.
        """
        with self._changed:
            while self._cap is not None and self._spent + sum(self._held.values()) + most > self._cap:
                if not self._held:
                    return False
                self._changed.wait()
            self._held[holder] = most
            return True

    def settle(self, holder: object, cost: float) -> None:
        """Give back what was held: this is what it has cost."""
        with self._changed:
            self._held.pop(holder, None)
            self._spent += cost
            self._changed.notify_all()
