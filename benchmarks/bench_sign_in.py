"""How long a refusal takes: the same whether the account exists or not, is closed, or is tried with an endless password."""

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.timing import alternating
from codecoach.i18n import Notice
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store.failures import Failures
from codecoach.ui import passwords, session, signin

RUNS = 30
WITHIN_PERCENT = 5.0
KNOWN, CLOSED, NOBODY = (f"{name}@example.com" for name in ("known", "closed", "nobody"))
WRONG = "not the password"


def run() -> list[Row]:
    logging.getLogger("codecoach.ui.signin").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        services = Services(Settings(data_dir=Path(folder)))
        session.install(services)
        try:
            _make_accounts(services)
            return _rows()
        finally:
            session.install(None)
            services.close()


def _make_accounts(services: Services) -> None:
    for name in (KNOWN, CLOSED):
        services.accounts.create(name, passwords.hash_password("a good password"))
    services.accounts.set_disabled(CLOSED, True)
    # A clock that has gone on for a day at each look, or all of them would be locked after ten tries.
    days = [0]
    services.__dict__["failures"] = Failures(services.table, lambda: _a_day_later(days))


def _a_day_later(days: list[int]) -> float:
    days[0] += 1
    return time.time() + days[0] * 86400


def _rows() -> list[Row]:
    # It is all computing, so its time is told in that: waiting for a turn on a busy machine says nothing of the work.
    known, nobody, closed, too_long = alternating(
        RUNS,
        _refused(KNOWN, WRONG),
        _refused(NOBODY, WRONG),
        _refused(CLOSED, WRONG),
        _refused(KNOWN, "x" * 500),
        clock=time.thread_time,
    )
    rows = [Row("sign-in refused, wrong password, p50 of CPU", known, "ms")]
    for what, taken in (("no such account", nobody), ("closed account", closed), ("endless password", too_long)):
        more = abs(taken - known) / known * 100
        aim = f"within {WITHIN_PERCENT:g} % of a wrong password"
        rows.append(Row(f"sign-in refused, {what}, p50 of CPU", taken, "ms", aim, more <= WITHIN_PERCENT))
    return rows + _rows_while_locked()


def _rows_while_locked() -> list[Row]:
    """Locked names are answered without a hash; that there is such a lock says nothing of whether there is an account."""
    services = session.services()
    services.__dict__["failures"] = failures = Failures(services.table)
    for name in (KNOWN, NOBODY):
        services.failures.unlock(name)
        for _ in range(5):
            failures.begin(name, "")
    known, nobody = alternating(RUNS * 5, _refused(KNOWN, WRONG), _refused(NOBODY, WRONG))
    return [
        Row("sign-in refused unseen, account exists, p50", known, "ms"),
        Row("sign-in refused unseen, no such account, p50", nobody, "ms"),
    ]


def _refused(name: str, password: str) -> Callable[[], Notice]:
    def refuse() -> Notice:
        problem = signin.sign_in(name, password)
        assert problem is not None
        return problem

    return refuse
