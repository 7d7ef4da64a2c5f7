"""How often a model repairs a boto3 program rightly, with and without what AWS's API model says of it.

    python -m benchmarks.repair [--tries 5] [--model-id ID] [--only WORD] [--told with|without|both] [--show]

Needs a real model (the embedded one is started if none is up) and takes minutes, so `make bench` leaves it out. A repair is
right when the corrected program, *run* against the simulated AWS, prints what is seeded there: a program that runs and
prints "No instances" is wrong. The failing run that the model is told of is a real one too. Samples differ because the
temperature is not 0.
"""

import argparse
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from codecoach import settings as app_settings
from codecoach.aws import seed
from codecoach.chat.fences import segments
from codecoach.chat.messages import Role
from codecoach.coach import fix
from codecoach.coach.assistants import prompt
from codecoach.coach.runs import recorded
from codecoach.i18n import Language
from codecoach.local import ask
from codecoach.models.port import Finished, Model, ModelRequest, TextDelta, Turn
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, RunRequest, RunResult
from codecoach.services import Services, build
from codecoach.store.programs import Program, RunRecord, SourceFile

SESSION = "benchmark"
REPLY_TOKENS = 1024
# Less prose than this beside the code explains nothing.
EXPLANATION_CHARS = 60


@dataclass(frozen=True)
class Fault:
    """A broken program, and words that its repair prints."""

    name: str
    program: str
    prints: tuple[str, ...]


FAULTS = (
    Fault(
        "key inside: describe_instances()['Instances']",
        """import boto3

ec2 = boto3.client("ec2", region_name="us-east-1")
response = ec2.describe_instances()
instances = response["Instances"]
if not instances:
    print("No instances")
for instance in instances:
    print(instance["InstanceId"], instance["InstanceType"], instance["State"]["Name"])
""",
        ("i-", "t3.micro", "t3.small", "m5.large", "stopped"),
    ),
    Fault(
        "key near: list_buckets()['Bucket']",
        """import boto3

s3 = boto3.client("s3")
for bucket in s3.list_buckets()["Bucket"]:
    print(bucket["Name"])
""",
        tuple(seed.OBJECTS),
    ),
    Fault(
        "key nowhere: list_objects_v2()['Objects']",
        """import boto3

s3 = boto3.client("s3")
response = s3.list_objects_v2(Bucket="demo-reports")
for item in response["Objects"]:
    print(item["Key"], item["Size"])
""",
        tuple(seed.OBJECTS["demo-reports"]),
    ),
    Fault(
        "parameter: list_objects_v2(bucket=...)",
        """import boto3

def show(client, name):
    for item in client.list_objects_v2(bucket=name)["Contents"]:
        print(item["Key"])

show(boto3.client("s3"), "demo-reports")
""",
        tuple(seed.OBJECTS["demo-reports"]),
    ),
    Fault(
        "method: dynamodb list_table()",
        """import boto3

client = boto3.client("dynamodb", region_name="us-east-1")
for name in client.list_table()["TableNames"]:
    count = client.scan(TableName=name)["Count"]
    print(name, count)
""",
        ("Orders 3",),
    ),
    Fault(
        "hidden: .get('Instances', []) prints nothing",
        """import boto3

ec2 = boto3.client("ec2", region_name="us-east-1")
for instance in ec2.describe_instances().get("Instances", []):
    name = next((tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == "Name"), "-")
    print(instance["InstanceId"], name)
""",
        ("i-", "web-1", "web-2", "batch-1"),
    ),
)


@dataclass
class Tally:
    """Of one fault, told in one way."""

    right: int = 0
    explained: int = 0
    tries: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        each = f"{self.tokens // max(1, self.tries)} tokens in, {self.seconds / max(1, self.tries):.0f} s"
        return f"{self.right}/{self.tries} right, {self.explained}/{self.tries} explained ({each})"


def main() -> None:
    options = _options()
    with _services() as services:
        model_id = options.model_id or services.default_model_id
        measure(services, services.model, model_id, options)


def measure(services: Services, model: Model, model_id: str, options: argparse.Namespace) -> None:
    """Print one line for each fault, as soon as it is known."""
    print(f"{model_id}\n| fault | with the API model | without |\n|---|---|---|", flush=True)
    for fault in FAULTS:
        if options.only in fault.name:
            told = [
                _tally(services, model, model_id, fault, way == "with", options.tries, options.show)
                if options.told in (way, "both")
                else "-"
                for way in ("with", "without")
            ]
            print(f"| {fault.name} | {told[0]} | {told[1]} |", flush=True)


def _tally(
    services: Services, model: Model, model_id: str, fault: Fault, grounded: bool, tries: int, show: bool
) -> Tally:
    tally = Tally()
    program = Program("p", "", "", "python", (SourceFile("main.py", fault.program),))
    question = fix.question(program, _run(services, fault.program), Language.EN, grounded=grounded)
    for _ in range(tries):
        start = time.monotonic()
        reply, tokens = _reply(model, model_id, question)
        tally.seconds += time.monotonic() - start
        tally.tries += 1
        tally.tokens += tokens
        code = fix.corrected(reply, "python", fault.program)
        printed = _run(services, code).stdout if code else ""
        right = all(word in printed for word in fault.prints)
        tally.right += right
        tally.explained += sum(len(part.text) for part in segments(reply) if part.kind == "text") >= EXPLANATION_CHARS
        if show:
            print(f"--- {fault.name}, grounded {grounded}, right {right}\n{question}\n>>>\n{reply}\n=== {printed}\n")
    return tally


def _reply(model: Model, model_id: str, question: str) -> tuple[str, int]:
    """The reply, and the tokens of what was asked."""
    turns = (Turn(Role.USER, question),)
    request = ModelRequest(model_id, turns, prompt("fix"), max_tokens=REPLY_TOKENS, temperature=fix.TEMPERATURE)
    text, tokens = "", 0
    for event in model.stream(request):
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Finished):
            tokens = event.usage.input_tokens
    return text, tokens


def _run(services: Services, code: str) -> RunRecord:
    address = services.simulated.endpoint(SESSION)
    access = AwsAccess(AwsMode.SIMULATED, address.host, address.port, "us-east-1")
    request = RunRequest(uuid.uuid4().hex, "python", (File("main.py", code.encode()),), aws=access)
    for event in services.runner.run(request):
        if isinstance(event, RunResult):
            return recorded(request, event, datetime.now(UTC))
    raise RuntimeError("the runner gave no result")


@contextmanager
def _services() -> Iterator[Services]:
    settings = app_settings.load()
    with ask.endpoint(settings) as url:
        services = build(settings.model_copy(update={"bedrock_endpoint_url": url}))
        try:
            yield services
        finally:
            services.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--model-id", default="")
    parser.add_argument("--only", default="", help="faults whose names hold this")
    parser.add_argument("--told", choices=("with", "without", "both"), default="both")
    parser.add_argument("--show", action="store_true", help="print questions and replies too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
