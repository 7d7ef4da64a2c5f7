"""The key layout: every kind of item of the one table, and the functions that make its keys.

    partition            sort                                item                                            expires
    -------------------  ----------------------------------  ----------------------------------------------  --------
    accounts             <username>                          account                                         -
    failures#<hash>      count                               failed sign-ins of a username or an address     1 day
    failures#<hash>      count#<hash>                        those of a username from an address it knows    1 day
    failures#<hash>      known#<hash>                        the username has signed in from this address    90 days
    arrival#<hash>       used                                a round trip to the sign-in provider is used up    1 hour
    invitations          <hash>                              invitation of somebody who has no account yet   7 days
    last-sign-ins        <username>                          when an account signed in last                  -
    ticket#<hash>        ticket                              one-time ticket of a sign-in                    30 s
    sign-in#<hash>       sign-in                             sign-in of one browser: user, device, activity  1 day after its end
    revocations          latest                              changes with whatever all processes must see   -
    layout               current                             number of this layout                           -
    layout               lease                               who takes the table to the next layout          30 s
    secrets              cookie                              what session cookies are signed with            -
    user#<username>      sign-in#<hash>                      which sign-ins a user has                       as the sign-in
    user#<username>      preferences                         language, model, region                         -
    user#<username>      tested-models                       model id -> time of its last good test          -
    user#<username>      conversation#<id>                   conversation                                    -
    user#<username>      recent#<updated_at>#<id>            the same, in order of its last change           -
    user#<username>      purge#<id>                          a deleted thread with something left in it      -
    user#<username>      template#<id>                       prompt template, as it was saved last           -
    user#<username>      version#<id>#<number>               prompt template, as it was saved then           -
    user#<username>      lab-draft                           what stands on the Prompt Lab's bench           -
    user#<username>      cases#<id>                          test cases of the Prompt Lab, and their checks   -
    user#<username>      evaluation#<id>                     how far an evaluation has come                   -
    user#<username>      program#<id>                        what a list shows of a program of the Editor    -
    usage#<month>        <username>                          what a user has used of the models in a month   -
    budgets              <username>                          limits that an administrator gave a user        -
    thread#<id>          message#<message id>                message of a conversation or a program          -
    thread#<id>          program                             program of the Editor, whole                    -
    thread#<id>          run#<run id>                        record of a run                                 -
    thread#<id>          ran#<message id>.<block>            this block has runs, in a thread of its own; the newest run   -
    thread#<id>          spent                               what a conversation has used of the models      -
    thread#<id>          plan                                evaluation: what is tried                       -
    thread#<id>          outcome#<row>.<variant>             what came of one trial of an evaluation         -
    thread#<id>          stop#<message id>                   somebody wants this reply stopped               1 minute
    thread#<id>          gone                                it was deleted: nothing more is saved           1 day
    (any)                part#<sort of its item>#<name>      part of a text too long for its item            -

<hash> is the SHA-256 of a secret, a username or an address, in hex: nobody can use what he reads here, and any length fits.
<message id> and <run id> order by time (`time_ordered_id`). <updated_at> is UTC with microseconds and fixed width, so that
its text orders by time. A name with a `#` in it cannot be mistaken for another key: it is always the last part of one, or
followed by parts of fixed form.
"""

import hashlib
import re
import secrets
import threading
import time
from datetime import UTC, datetime

from codecoach.store.port import Key

CONVERSATION = "conversation#"
RECENT = "recent#"
PURGE = "purge#"
TEMPLATE = "template#"
VERSION = "version#"
CASES = "cases#"
EVALUATION = "evaluation#"
OUTCOME = "outcome#"
PLAN = "plan"
SPENT = "spent"
PROGRAM = "program#"
SIGN_IN = "sign-in#"
MESSAGE = "message#"
RUN = "run#"
RAN = "ran#"
PART = "part#"
BENCH = "lab-"

ACCOUNTS = "accounts"
INVITATIONS = "invitations"
BUDGETS = "budgets"
REVOCATIONS = Key("revocations", "latest")
COOKIE_SECRETS = Key("secrets", "cookie")
LAYOUT = Key("layout", "current")
LAYOUT_LEASE = Key("layout", "lease")

# What no backup takes along: it would let in again who was signed out, or speaks of processes that are gone.
_STAYS_PARTITIONS = (
    LAYOUT.partition,
    REVOCATIONS.partition,
    COOKIE_SECRETS.partition,
    "ticket#",
    "sign-in#",
    "arrival#",
)
_STAYS_SORTS = (SIGN_IN, "stop#")


def hashed(text: str) -> str:
    """SHA-256 in hex; of any text, half characters included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def account(username: str) -> Key:
    return Key(ACCOUNTS, username)


def failures(of: str) -> Key:
    return Key(f"failures#{hashed(of)}", "count")


def failures_from(of: str, address: str) -> Key:
    return Key(failures(of).partition, f"count#{hashed(address)}")


def known_address(of: str, address: str) -> Key:
    return Key(failures(of).partition, f"known#{hashed(address)}")


def invitation(code: str) -> Key:
    return Key(INVITATIONS, hashed(code))


def last_sign_in(username: str) -> Key:
    return Key("last-sign-ins", username)


def ticket(secret: str) -> Key:
    return Key(f"ticket#{hashed(secret)}", "ticket")


def arrival(proof: str) -> Key:
    return Key(f"arrival#{hashed(proof)}", "used")


def sign_in(secret_hash: str) -> Key:
    return Key(f"sign-in#{secret_hash}", "sign-in")


def user(username: str) -> str:
    """The partition of what belongs to a user."""
    return f"user#{username}"


def user_sign_in(username: str, secret_hash: str) -> Key:
    return Key(user(username), SIGN_IN + secret_hash)


def preferences(username: str) -> Key:
    return Key(user(username), "preferences")


def tested_models(username: str) -> Key:
    return Key(user(username), "tested-models")


def conversation(owner: str, conversation_id: str) -> Key:
    return Key(user(owner), CONVERSATION + conversation_id)


def recent(owner: str, updated_at: datetime, conversation_id: str) -> Key:
    return Key(user(owner), f"{RECENT}{_sortable(updated_at)}#{conversation_id}")


def purge(owner: str, thread_id: str) -> Key:
    return Key(user(owner), PURGE + thread_id)


def template(owner: str, template_id: str) -> Key:
    return Key(user(owner), TEMPLATE + template_id)


def template_versions(template_id: str) -> str:
    """What the sort keys of all versions of a template start with."""
    return f"{VERSION}{template_id}#"


def template_version(owner: str, template_id: str, number: int) -> Key:
    """Fixed width, so that versions order by their number."""
    return Key(user(owner), f"{template_versions(template_id)}{number:06d}")


def lab_draft(owner: str) -> Key:
    return Key(user(owner), "lab-draft")


def cases(owner: str, cases_id: str) -> Key:
    return Key(user(owner), CASES + cases_id)


def evaluation(owner: str, evaluation_id: str) -> Key:
    """Evaluation ids order by time."""
    return Key(user(owner), EVALUATION + evaluation_id)


def plan(evaluation_id: str) -> Key:
    return Key(thread(evaluation_id), PLAN)


def outcome(evaluation_id: str, row: int, variant: int) -> Key:
    """Fixed width, so that outcomes order as they are made."""
    return Key(thread(evaluation_id), f"{OUTCOME}{row:06d}.{variant:04d}")


def program(owner: str, program_id: str) -> Key:
    return Key(user(owner), PROGRAM + program_id)


def program_body(program_id: str) -> Key:
    return Key(thread(program_id), "program")


def usage_in(month: str) -> str:
    """The partition of what everybody has used in a month, given as 2026-11."""
    return f"usage#{month}"


def usage(month: str, username: str) -> Key:
    return Key(usage_in(month), username)


def budget(username: str) -> Key:
    return Key(BUDGETS, username)


def spent(conversation_id: str) -> Key:
    return Key(thread(conversation_id), SPENT)


def thread(thread_id: str) -> str:
    """The partition of a thread: a conversation, a program of the Editor, or an evaluation, with all that is in it."""
    return f"thread#{thread_id}"


def explanations(program_id: str) -> str:
    """The id of the thread in which a program is explained; its own thread holds the repairs."""
    return f"{program_id}.explained"


def bench(owner: str, place: str) -> str:
    """The id of the thread that holds the answer in one place of a user's bench in the Prompt Lab."""
    return f"{BENCH}{hashed(owner)}-{place}"


def block(thread_id: str, message_id: str, number: int) -> str:
    """The id of the thread that holds the runs of a message's code block, the first being 0."""
    return f"{thread_id}.{message_id}.{number}"


def ran(block_thread_id: str) -> tuple[Key, Key] | None:
    """Of a block's thread: (the message it is in, where is noted that the block has runs); None for any other thread."""
    thread_id, *rest = block_thread_id.split(".")
    if len(rest) != 2:  # as `block` makes them
        return None
    return message(thread_id, rest[0]), Key(thread(thread_id), RAN + ".".join(rest))


def message(thread_id: str, message_id: str) -> Key:
    return Key(thread(thread_id), MESSAGE + message_id)


def run(thread_id: str, run_id: str) -> Key:
    return Key(thread(thread_id), RUN + run_id)


def stop(thread_id: str, message_id: str) -> Key:
    return Key(thread(thread_id), f"stop#{message_id}")


def gone(thread_id: str) -> Key:
    return Key(thread(thread_id), "gone")


def parts_prefix(key: Key) -> str:
    """What the sort keys of all parts of an item start with."""
    return f"{PART}{key.sort}#"


def part(key: Key) -> Key:
    """A new key for a part of an item; never the same twice, so that parts are never overwritten."""
    return Key(key.partition, parts_prefix(key) + secrets.token_hex(6))


def new_id() -> str:
    """A random id that nobody can guess."""
    return secrets.token_hex(12)


def is_id(text: str) -> bool:
    """Whether this may be an id of ours; what comes from an address bar may be anything."""
    return re.fullmatch(r"[0-9a-f]{1,64}", text) is not None


def travels(key: Key) -> bool:
    """Whether a backup takes an item along: all do but sign-ins, their tickets and revocations, stop requests, the layout."""
    # Elsewhere the sort key may be a username, which may begin with anything.
    passing = key.partition.startswith((user(""), thread(""))) and key.sort.startswith(_STAYS_SORTS)
    return not (passing or key.partition.startswith(_STAYS_PARTITIONS))


# No two clocks of ours differ by more. An id made up to be later would take every later one of this process with it.
CLOCKS_DIFFER_MS = 24 * 3600 * 1000

_last_ms = 0
_ids = threading.Lock()


def time_ordered_id(after: str = "") -> str:
    """A new id that orders after all that this process made, and after the one given, whatever the clocks say.

    12 hex digits of milliseconds since 1970, then 8 random ones; within a millisecond the next one is taken.
    """
    global _last_ms  # one clock for the process
    with _ids:
        now_ms = time.time_ns() // 1_000_000
        after_ms = int(after[:12], 16) if is_id(after) else 0
        _last_ms = max(now_ms, _last_ms + 1, after_ms + 1 if after_ms < now_ms + CLOCKS_DIFFER_MS else 0)
        return f"{_last_ms:012x}{secrets.token_hex(4)}"


def _sortable(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
