"""A CloudFormation stack: make or change it, delete it, and tell what happens meanwhile.

up:    none ──────────────> CREATE_IN_PROGRESS ──> CREATE_COMPLETE
       *_COMPLETE ────────> UPDATE_IN_PROGRESS ──> UPDATE_COMPLETE     (or nothing, where nothing is to be changed)
       ROLLBACK_COMPLETE ─> deleted, then as none                      (what a failed first attempt leaves)
       *_IN_PROGRESS ─────> waited for, then as it is by then
down:  any ───────────────> DELETE_IN_PROGRESS ──> none
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from deploy.account import aws_errors
from deploy.errors import StackFailed

NEVER_MADE: Final = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS", "DELETE_FAILED"}
GOOD: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
NOTHING_TO_DO: Final = "No updates are to be performed"
# What failed because something else had failed before. Source: reasons as CloudFormation words them.
_CONSEQUENCES: Final = ("Resource creation cancelled", "Resource update cancelled", "The following resource(s) failed")
REASONS: Final = 5


@dataclass(frozen=True)
class Event:
    """One line of a stack's story."""

    at: datetime
    resource: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.status.endswith("FAILED")


Told = Callable[[Event], None]


class Stack:
    """A stack by its name. Raises `DeployRefused`, `StackFailed`."""

    def __init__(self, client: Any, name: str, told: Told, pause_s: float = 5.0) -> None:  # noqa: ANN401
        """told: called with each event that is new, in order."""
        self._client = client
        self._name = name
        self._told = told
        self._pause_s = pause_s
        self._seen: set[str] = set()

    def status(self) -> str:
        """As CloudFormation words it; "" where there is no such stack."""
        found = self._described()
        return str(found["StackStatus"]) if found else ""

    def outputs(self) -> dict[str, str]:
        return _outputs(self._described())

    def table(self) -> tuple[str, bool]:
        """The table with what people wrote, and whether the stack made it; of the one deleted last where there is none now.

        ("", False) where there never was one, or none whose end is remembered: CloudFormation does so for 90 days.
        """
        found = self._described() or self._deleted_last()
        given = {
            entry["ParameterKey"]: entry.get("ParameterValue", "") for entry in (found or {}).get("Parameters", [])
        }
        name = _outputs(found).get("TableName", "")
        return name, bool(name) and not given.get("ExistingTable")

    def apply(self, template: str, given: Mapping[str, str]) -> bool:
        """Make the stack or change it, and wait for that; whether there was anything to do.

        given  parameters; what is not given stays as it is, or has the template's default
        """
        self._settle()
        if self.status() in NEVER_MADE:
            self.delete()
        parameters = {key: {"ParameterKey": key, "ParameterValue": value} for key, value in given.items()}
        request = {"StackName": self._name, "TemplateBody": template, "Capabilities": ["CAPABILITY_IAM"]}
        with aws_errors():
            if not self.status():
                self._client.create_stack(**request, Parameters=list(parameters.values()))
            elif not self._update(request, parameters, template):
                return False
        self._wait(GOOD)
        return True

    def _update(self, request: dict[str, Any], parameters: dict[str, Any], template: str) -> bool:
        found = self._described() or {}
        known = self._client.get_template_summary(TemplateBody=template)["Parameters"]
        kept = {entry["ParameterKey"] for entry in found.get("Parameters", [])} & {
            entry["ParameterKey"] for entry in known
        }
        previous = [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept - parameters.keys())]
        self._note_events()  # those of earlier changes are old news
        try:
            self._client.update_stack(**request, Parameters=[*parameters.values(), *previous])
        except ClientError as error:
            if NOTHING_TO_DO in error.response["Error"].get("Message", ""):
                return False
            raise
        return True

    def delete(self) -> bool:
        """Delete it and wait for that; whether it was there."""
        with aws_errors():
            found = self._described()
            if not found:
                return False
            self._note_events()
            # By its id it can still be looked at when it is gone.
            name, self._name = self._name, found["StackId"]
            try:
                self._client.delete_stack(StackName=self._name)
                self._wait({"DELETE_COMPLETE", ""})
            finally:
                self._name = name
        return True

    def _settle(self) -> None:
        """Wait for what somebody else has begun, however it ends."""
        while self.status().endswith("IN_PROGRESS") and self.status() not in NEVER_MADE:
            self._tell()
            time.sleep(self._pause_s)
        self._note_events()

    def _wait(self, good: set[str]) -> None:
        failures: list[Event] = []
        while (status := self.status()).endswith("IN_PROGRESS"):
            failures += self._tell()
            time.sleep(self._pause_s)
        failures += self._tell()
        if status not in good:
            raise StackFailed(
                stack=self._name.split("/")[1] if "/" in self._name else self._name, reasons=_reasons(failures)
            )

    def _described(self) -> dict[str, Any] | None:
        try:
            with aws_errors():
                stacks = self._client.describe_stacks(StackName=self._name)["Stacks"]
        except Exception as error:
            if "does not exist" in str(error.__cause__):
                return None
            raise
        return dict(stacks[0]) if stacks else None

    def _deleted_last(self) -> dict[str, Any] | None:
        ended: list[dict[str, Any]] = []
        with aws_errors():
            pages = self._client.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
            for page in pages:
                ended += [one for one in page["StackSummaries"] if one["StackName"] == self._name]
            if not ended:
                return None
            last = max(ended, key=lambda one: one["CreationTime"])
            return dict(self._client.describe_stacks(StackName=last["StackId"])["Stacks"][0])

    def _events(self) -> list[tuple[str, Event]]:
        """Those that were not told yet, oldest first."""
        found: list[tuple[str, Event]] = []
        with aws_errors():
            for page in self._client.get_paginator("describe_stack_events").paginate(StackName=self._name):
                for raw in page["StackEvents"]:
                    if raw["EventId"] in self._seen:  # newest come first: all older ones were told
                        return found[::-1]
                    about = Event(
                        raw["Timestamp"],
                        raw.get("LogicalResourceId", ""),
                        raw.get("ResourceStatus", ""),
                        raw.get("ResourceStatusReason", ""),
                    )
                    found.append((raw["EventId"], about))
        return found[::-1]

    def _note_events(self) -> None:
        if self._described():
            self._seen |= {identifier for identifier, _ in self._events()}

    def _tell(self) -> list[Event]:
        """Tell what is new; those of it that failed."""
        new = self._events()
        self._seen |= {identifier for identifier, _ in new}
        for _, event in new:
            self._told(event)
        return [event for _, event in new if event.failed]


def _outputs(described: Mapping[str, Any] | None) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in (described or {}).get("Outputs", [])}


def _reasons(failures: list[Event]) -> str:
    """What failed by itself, first things first."""
    causes = [event for event in failures if not event.reason.startswith(_CONSEQUENCES)]
    return "\n".join(f"{event.resource}: {event.reason}" for event in (causes or failures)[:REASONS]) or "-"
