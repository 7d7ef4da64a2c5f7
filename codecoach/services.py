"""Builds everything from the settings; the only file that names adapter classes."""

import logging
import threading
import time
from functools import cached_property, partial
from typing import TypeVar

from codecoach.aws.gateway import Gateway
from codecoach.aws.run_role import RunRole
from codecoach.aws.simulated import SimulatedAws
from codecoach.coach.bench import Bench
from codecoach.coach.coach import Coach
from codecoach.coach.copilots import Copilots
from codecoach.coach.evaluator import Evaluator
from codecoach.coach.fix import Fixer
from codecoach.coach.generation import Generations
from codecoach.coach.meter import Meter
from codecoach.coach.metering import MeteredLaboratory, MeteredModel
from codecoach.coach.my_aws import MyAwsGate
from codecoach.coach.runs import Runs
from codecoach.coach.trials import Trials
from codecoach.errors import ModelNotFound
from codecoach.models import catalogue, clients, converse, readiness
from codecoach.models.converse import ConverseModel
from codecoach.models.directory import BedrockDirectory
from codecoach.models.laboratory import Laboratory
from codecoach.models.port import Model, ModelDirectory
from codecoach.runner.installing import Installations
from codecoach.runner.measured import MeasuredRunner
from codecoach.runner.piston import Piston
from codecoach.runner.port import Limits, Runner
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Backend, RunnerKind, Settings
from codecoach.store import dynamodb, dynamodb_table, layout
from codecoach.store.accounts import Accounts
from codecoach.store.arrivals import Arrivals
from codecoach.store.budgets import Budgets
from codecoach.store.case_sets import CaseSets
from codecoach.store.conversations import Conversations
from codecoach.store.cookie_seal import CookieSeal, kept_secrets
from codecoach.store.departures import Departures
from codecoach.store.evaluations import Evaluations
from codecoach.store.failures import Failures
from codecoach.store.invitations import Invitations
from codecoach.store.last_sign_ins import LastSignIns
from codecoach.store.owned import OwnedTable
from codecoach.store.port import Table
from codecoach.store.preferences import Preferences
from codecoach.store.programs import Programs
from codecoach.store.remembering import Remembering, lately
from codecoach.store.revocations import Revocations
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Templates
from codecoach.store.usage import UsageBook

log = logging.getLogger(__name__)

DATABASE = "codecoach.sqlite"


T = TypeVar("T")


class part(cached_property[T]):  # noqa: N801 - used as a decorator
    """A property that is built once, however many threads ask for it, and again by the next who asks where that failed.

    Who waited while it failed gets the same error: else each of them in turn would wait for a service that is away.
    """

    def __get__(self, services: "Services", owner: type | None = None) -> T:  # type: ignore[override]
        if services is None:
            return self  # as every property, asked of the class
        name, asked_at = self.attrname or "", time.monotonic()
        # Parts use one another in one direction only, so these locks cannot wait for each other in a circle.
        with services.building[name]:
            failed = services.failed.get(name)
            if failed and failed[0] >= asked_at:
                raise failed[1]
            try:
                return super().__get__(services, owner)
            except Exception as error:
                services.failed[name] = (time.monotonic(), error)
                raise


class Shown:
    """The stores that pages draw from, over one table."""

    def __init__(self, table: Table) -> None:
        self.preferences = Preferences(table)
        self.conversations = Conversations(table)
        self.templates = Templates(table)
        self.programs = Programs(table)
        self.case_sets = CaseSets(table)
        self.evaluations = Evaluations(table)
        self.copilots = Copilots(self.templates)


class Services:
    """All parts, each built when it is first asked for, so that a short command pays only for what it uses.

    Every part may be asked for and used from any thread. The web app calls `warm` once, so that nobody waits.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.building = {name: threading.RLock() for name in _parts()}
        self.failed: dict[str, tuple[float, Exception]] = {}

    @part
    def table(self) -> Table:
        return OwnedTable(Remembering(layout.make_ready(self.table_as_it_is)))

    @part
    def table_as_it_is(self) -> Table:
        """The table whatever its layout: for a backup to be restored into it, and for nothing else."""
        if self.settings.backend is Backend.AWS or self.settings.dynamodb_endpoint_url:
            client = dynamodb.client(self.settings.region, self.settings.dynamodb_endpoint_url or None)
            dynamodb_table.ensure(client, self.settings.table)
            return dynamodb.DynamoTable(client, self.settings.table)
        return SqliteTable(self.settings.data_dir / DATABASE)

    @part
    def accounts(self) -> Accounts:
        return Accounts(self.table, revocations=self.revocations)

    @part
    def failures(self) -> Failures:
        return Failures(self.table)

    @part
    def sign_ins(self) -> SignIns:
        idle_s, longest_s = self.settings.session_idle_minutes * 60, self.settings.session_hours * 3600
        return SignIns(self.table, idle_s, longest_s, revocations=self.revocations)

    @part
    def revocations(self) -> Revocations:
        return Revocations(self.table)

    @part
    def arrivals(self) -> Arrivals:
        return Arrivals(self.table)

    @part
    def cookie_seal(self) -> CookieSeal:
        return CookieSeal(self.settings.cookie_secrets or kept_secrets(self.table))

    @part
    def invitations(self) -> Invitations:
        return Invitations(self.table, self.accounts)

    @part
    def departures(self) -> Departures:
        return Departures(self.table, self.accounts)

    @part
    def last_sign_ins(self) -> LastSignIns:
        return LastSignIns(self.table)

    @part
    def preferences(self) -> Preferences:
        return Preferences(self.table)

    @part
    def conversations(self) -> Conversations:
        return Conversations(self.table)

    @part
    def templates(self) -> Templates:
        return Templates(self.table)

    @part
    def programs(self) -> Programs:
        return Programs(self.table)

    @part
    def budgets(self) -> Budgets:
        return Budgets(self.table)

    @part
    def meter(self) -> Meter:
        usage, kept = UsageBook(self.table), self.conversations.get_message
        return Meter(usage, self.settings, kept, account_of=self.accounts.current)

    @part
    def clients(self) -> clients.Clients:
        return clients.clients(self.settings)

    @part
    def model(self) -> Model:
        """For the command line; whatever has a user asks `metered_model`."""
        return ConverseModel(self.clients.runtime, self.clients.control)

    @part
    def laboratory(self) -> Laboratory:
        """For the command line; whatever has a user asks `metered_laboratory`."""
        return Laboratory(self.clients.runtime)

    @part
    def metered_model(self) -> MeteredModel:
        return MeteredModel(self.model, self.meter)

    @part
    def metered_laboratory(self) -> MeteredLaboratory:
        return MeteredLaboratory(self.laboratory, self.meter)

    @part
    def directory(self) -> ModelDirectory:
        if self.settings.backend is Backend.EMBEDDED:
            return BedrockDirectory(self.clients.control, partial(readiness.check, self.settings.bedrock_endpoint_url))
        return BedrockDirectory(self.clients.control, else_catalogue=True)

    @part
    def runner(self) -> Runner:
        kind = self.settings.runner
        return MeasuredRunner(self._piston() if kind is RunnerKind.PISTON else Sandbox(self.settings), kind.value)

    def _piston(self) -> Piston:
        return Piston(self.settings, Gateway(self.settings.gateway) if self.settings.gateway else None)

    @part
    def installations(self) -> Installations:
        return Installations(self.settings.cache_dir)

    @part
    def simulated(self) -> SimulatedAws:
        return SimulatedAws(self.settings.region)

    @part
    def generations(self) -> Generations:
        return Generations(self.metered_model, self.conversations)

    @part
    def copilots(self) -> Copilots:
        return Copilots(self.templates)

    @part
    def coach(self) -> Coach:
        return Coach(self.conversations, self.generations, self.settings, self.copilots)

    @part
    def bench(self) -> Bench:
        return Bench(self.metered_laboratory, self.generations, self.conversations)

    @part
    def case_sets(self) -> CaseSets:
        return CaseSets(self.table)

    @part
    def evaluations(self) -> Evaluations:
        return Evaluations(self.table)

    @part
    def trials(self) -> Trials:
        return Trials(self.metered_laboratory, lambda: self.runner, self.simulated, self.limits, self.settings.region)

    @part
    def evaluator(self) -> Evaluator:
        return Evaluator(self.trials, self.evaluations)

    @part
    def fixer(self) -> Fixer:
        return Fixer(self.conversations, self.generations, self.settings)

    @part
    def runs(self) -> Runs:
        return Runs(self.runner, self.simulated, self.programs, self.my_aws)

    @part
    def my_aws(self) -> MyAwsGate:
        return MyAwsGate(self.settings, lambda: self.accounts, RunRole(self.settings))

    def shown(self, since: float) -> Shown:
        """The stores for drawing pages: from memory where it was read after `since` (`time.monotonic`), some seconds ago."""
        return Shown(lately(self.table, since))

    @property
    def default_model_id(self) -> str:
        """The model of whoever has not chosen one: the settings' own, else the local one, in AWS the catalogue's first pick.

        Raises `ModelError` where the local endpoint does not say what it serves.
        """
        if self.settings.model:
            return self.settings.model
        if self.settings.backend is Backend.AWS:
            # Not asked of the account: it may not be allowed to list models, and a page waits for this.
            return catalogue.profile_id(catalogue.CURRENT_PICKS[0], self.settings.region)
        cards = self.directory.cards()
        if not cards:
            raise ModelNotFound("no_models")
        return cards[0].id

    @property
    def limits(self) -> Limits:
        """The bounds of a run, as the settings say."""
        return Limits(
            timeout_s=self.settings.run_timeout_s,
            memory_bytes=self.settings.run_memory_mb * 1024 * 1024,
            output_bytes=self.settings.run_output_kb * 1024,
        )

    def warm(self) -> None:
        """Build every part, and import and start ahead what the first user would otherwise wait for.

        A part that cannot be built now is built when it is next asked for: one dead part must not keep the rest from
        starting.
        """
        for make in (*(lambda name=name: getattr(self, name) for name in _parts()), self._warm_parts):
            try:
                make()
            except Exception:
                log.exception("a part could not be made ready")

    def _warm_parts(self) -> None:
        self.simulated.warm()
        converse.warm()

    def under_way(self) -> int:
        """How many replies and programs this process is working on."""
        built = (self.__dict__.get(name) for name in ("generations", "runs"))
        return sum(part.running() for part in built if part)

    def close(self) -> None:
        """End what runs, in the order in which the parts use one another."""
        for name in ("generations", "evaluator", "meter", "runs", "runner", "simulated", "table", "table_as_it_is"):
            close = getattr(self.__dict__.get(name), "close", None)
            try:
                if close:
                    close()
            except Exception:  # the others must end all the same
                log.exception("%s could not be closed", name)


def _parts() -> list[str]:
    return [name for name, value in vars(Services).items() if isinstance(value, part)]


def build(settings: Settings) -> Services:
    """The services of these settings; nothing is started or connected yet."""
    return Services(settings)
