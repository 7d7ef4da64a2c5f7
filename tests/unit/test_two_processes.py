"""What one process ends, another one refuses a second later at the latest, by the clock that both share."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codecoach.store.accounts import Accounts
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable

ANN = "ann@example.com"
# Asks all the time, as busy pages do, and says of each answer when it was asked for and whether it was yes.
ASKS = """
import json, sys, time
from pathlib import Path
from codecoach.store.accounts import Accounts
from codecoach.store.revocations import Revocations
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable

table = SqliteTable(Path(sys.argv[1]))
revocations = Revocations(table)
sign_ins = SignIns(table, 1800, 43200, revocations=revocations)
accounts = Accounts(table, revocations=revocations)
refused_at = None
while refused_at is None or time.monotonic() < refused_at + 0.2:
    asked_at = time.monotonic()
    username = sign_ins.see(sys.argv[2])
    account = accounts.current("ann@example.com")
    yes = username is not None and account is not None and not account.disabled
    print(json.dumps([asked_at, yes]), flush=True)
    if not yes and refused_at is None:
        refused_at = time.monotonic()
    time.sleep(0.01)
"""

ENDINGS = {
    "sign-out": lambda accounts, sign_ins, sid: sign_ins.close(sid),
    "new password": lambda accounts, sign_ins, sid: sign_ins.close_all(ANN),
    "disabled": lambda accounts, sign_ins, sid: accounts.set_disabled(ANN, True),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_whatever_is_asked_a_second_after_the_end_is_refused_in_the_other_process(tmp_path: Path, end):
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    accounts, sign_ins = Accounts(table), SignIns(table, 1800, 43200)
    accounts.create(ANN, "hash")
    sid = sign_ins.open(ANN)
    command = [sys.executable, "-c", ASKS, str(tmp_path / "codecoach.sqlite"), sid]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as other:
        assert other.stdout
        assert json.loads(other.stdout.readline())[1] is True
        end(accounts, sign_ins, sid)
        ended_at = time.monotonic()
        answers = [json.loads(line) for line in other.stdout]
    table.close()
    assert other.returncode == 0
    # However slow the machine: what is asked later than a second after must look, and so must see it.
    late = [yes for asked_at, yes in answers if asked_at >= ended_at + 1.0]
    assert not any(late)
    assert answers[-1][1] is False
    first_no = next(number for number, (_, yes) in enumerate(answers) if not yes)
    assert not any(yes for _, yes in answers[first_no:])  # and it does not come back
