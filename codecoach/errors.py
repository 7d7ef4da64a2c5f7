"""What can go wrong on our side, in one tree.

    CodeCoachError
    ├── InputRefused            what a person gave cannot be used as it is
    │   └── BudgetReached       a call to a model might cost more than is left of a budget, or its payer's account is closed
    ├── SettingsWrong           a setting is unknown, malformed or contradicts another
    ├── ModelError
    │   ├── ModelNotFound       no such model here, or it has been retired
    │   ├── ModelAccessDenied   the account or role may not call it
    │   ├── CredentialsMissing  no AWS credentials, or they have expired
    │   ├── ModelThrottled      too many requests; may be retried after a while
    │   ├── ModelInputTooLong   the conversation does not fit into the model's context
    │   ├── ModelRefused        the service refuses the request as it stands (ValidationException)
    │   ├── StreamBroken        the reply broke off in mid-stream; what came before it is good
    │   └── ModelUnavailable    the service does not answer, or answers with a fault of its own
    │       └── ModelLoading    it will in a moment: the embedded model's weights are being read
    ├── RunnerError
    │   ├── RuntimeMissing      no runtime is installed for this language
    │   ├── RuntimeBroken       a runtime cannot be built here, or does not pass its test
    │   ├── SandboxUnavailable  this machine does not allow the sandbox
    │   ├── RunnerFull          so many programs wait already that no more are taken
    │   └── RunnerUnavailable   the runner does not answer
    ├── SimulationError         the simulated AWS cannot be started or reached
    ├── IdentityUnknown         AWS does not say who we are
    ├── AwsRefused              a program gets no access to the AWS of the configured role
    └── StoreError
        ├── VersionConflict     somebody else changed the item meanwhile
        ├── NotYours            what would be changed belongs to somebody else, or is gone
        ├── ItemRefused         the store cannot keep this item (too large, malformed)
        └── StoreUnavailable    the store does not answer

A fault in the user's own program is never an error here: it is a `RunResult`.

Each error carries a `Notice`: the key of its sentence under `[errors]` in the locale tables (`errors.<key>.what` says what
happened, `errors.<key>.hint` what to do) with the values to fill in. Values must not hold secrets. `reference` is short,
unique and also in the log, so that a person can name the event to whoever runs the place.
"""

from codecoach import reference
from codecoach.i18n import Notice


class CodeCoachError(Exception):
    """Base of all our errors; `key` names its texts, `values` fill them."""

    key = "internal"

    def __init__(self, key: str | None = None, **values: object) -> None:
        self.key = key or type(self).key
        self.values = values
        self.reference = reference.of_an_event()
        super().__init__(f"{self.key} {values} [{self.reference}]" if values else f"{self.key} [{self.reference}]")

    @property
    def what(self) -> Notice:
        """What happened."""
        return Notice(f"errors.{self.key}.what", self.values)

    @property
    def hint(self) -> Notice:
        """What to do about it."""
        return Notice(f"errors.{self.key}.hint", self.values)


class InputRefused(CodeCoachError):
    key = "input_refused"


BUDGET = "budget_"
"""What the keys of `BudgetReached` start with."""


class BudgetReached(InputRefused):
    key = "budget_reached"


class SettingsWrong(CodeCoachError):
    key = "settings_wrong"


class ModelError(CodeCoachError):
    key = "model_error"


class ModelNotFound(ModelError):
    key = "model_not_found"


class ModelAccessDenied(ModelError):
    key = "model_access_denied"


class CredentialsMissing(ModelError):
    key = "credentials_missing"


class ModelThrottled(ModelError):
    key = "model_throttled"


class ModelInputTooLong(ModelError):
    key = "model_input_too_long"


class ModelRefused(ModelError):
    key = "model_refused"


class StreamBroken(ModelError):
    key = "stream_broken"


class ModelUnavailable(ModelError):
    key = "model_unavailable"


class ModelLoading(ModelUnavailable):
    key = "model_loading"


class RunnerError(CodeCoachError):
    key = "runner_error"


class RuntimeMissing(RunnerError):
    key = "runtime_missing"


class RuntimeBroken(RunnerError):
    key = "runtime_broken"


class SandboxUnavailable(RunnerError):
    key = "sandbox_unavailable"


class RunnerFull(RunnerError):
    key = "runner_full"


class RunnerUnavailable(RunnerError):
    key = "runner_unavailable"


class SimulationError(CodeCoachError):
    key = "simulation_error"


class IdentityUnknown(CodeCoachError):
    key = "identity_unknown"


class AwsRefused(CodeCoachError):
    key = "aws_refused"


class StoreError(CodeCoachError):
    key = "store_error"


class VersionConflict(StoreError):
    key = "version_conflict"


class NotYours(StoreError):
    key = "not_yours"


class ItemRefused(StoreError):
    key = "item_refused"


class StoreUnavailable(StoreError):
    key = "store_unavailable"
