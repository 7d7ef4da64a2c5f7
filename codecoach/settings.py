"""Settings: the one table, read from the environment and `.env`.

Every setting is an environment variable `CODECOACH_<NAME>`. The README's table is generated from the descriptions here.
"""

import difflib
import ipaddress
import json
import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from codecoach.errors import SettingsWrong

PREFIX = "CODECOACH_"
SHORTEST_SECRET = 32
_POLICIES = 10  # Source: PolicyArns of AssumeRole in the STS API reference


class Backend(StrEnum):
    """EMBEDDED: all parts on this machine. AWS: Bedrock and DynamoDB of an AWS account."""

    EMBEDDED = "embedded"
    AWS = "aws"


class MyAws(StrEnum):
    """Whose programs may use the AWS of the configured role."""

    NOBODY = "nobody"
    CHOSEN = "chosen"
    EVERYBODY = "everybody"


class RunnerKind(StrEnum):
    SANDBOX = "sandbox"
    PISTON = "piston"


def _home(variable: str, below: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / below) / "codecoach"


class Settings(BaseSettings):
    """Everything that can be set; each with meaning, unit and default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    backend: Backend = Field(
        Backend.EMBEDDED,
        description="`embedded`: everything on this machine. `aws`: Bedrock and DynamoDB of your AWS account.",
    )
    host: str = Field(
        "127.0.0.1", description="Address the web app listens on. Only loopback is safe without HTTPS in front."
    )
    port: int = Field(
        8501, ge=1, le=65535, description="Port of the web app. If it is taken, the next free one is used and named."
    )
    host_names: str = Field(
        "",
        description="Names under which browsers reach the web app, separated by commas, for example `code.example.com`; requests under other names, and from pages of others, are refused. Numbers and `localhost` are always among them. Empty: only those where it listens on loopback, else any name.",
    )
    data_dir: Path = Field(
        default_factory=lambda: _home("XDG_DATA_HOME", ".local/share"),
        description="Folder of what must be kept: the SQLite file.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: _home("XDG_CACHE_HOME", ".cache"),
        description="Folder of what can be fetched again: model weights, runtimes.",
    )
    log_level: str = Field(
        "INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Least severe level that is logged: DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        description="How each record of the log is written, always on one line: `text`, or `json` for collectors.",
    )

    metrics: str = Field(
        "",
        description="Where Prometheus finds this process's figures, for example `127.0.0.1:9464`; whoever reaches that port may read them. Empty: nowhere.",
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        le=600,
        description="Seconds that replies and programs under way get to finish when CodeCoach is told to stop; what is left then is saved as far as it came. 0: saved at once.",
    )

    region: str = Field(
        "us-east-1", description="AWS region of Bedrock and DynamoDB, and the region that programs see."
    )
    model: str = Field(
        "",
        description="Model id or inference profile id used until somebody saves another in Settings. Empty: the local model when embedded, else the first current pick of the catalogue.",
    )
    bedrock_endpoint_url: str = Field(
        "", description="Bedrock runtime endpoint to use instead of AWS's. Set by `codecoach up` when embedded."
    )
    bedrock_control_endpoint_url: str = Field(
        "",
        description="Endpoint of Bedrock's lists of models to use instead of AWS's (backend `aws`; embedded, the one above has them too).",
    )
    request_timeout_s: float = Field(
        120.0, gt=0, description="Seconds without a byte after which a call to the model is given up."
    )

    local_model: str = Field(
        "1.5b",
        description="Embedded model: `1.5b`, `0.5b`, the path of any GGUF file, or the URL of an OpenAI-compatible endpoint (`http://localhost:11434/v1`).",
    )
    local_model_name: str = Field(
        "", description="Name of the model at an OpenAI-compatible endpoint, for example `qwen2.5-coder:7b`."
    )
    local_model_key: SecretStr = Field(SecretStr(""), description="API key of that endpoint, where it needs one.")
    local_context_tokens: int = Field(
        8192, ge=1024, description="Context of the embedded model, in tokens, prompt and reply together."
    )
    local_port: int = Field(0, ge=0, le=65535, description="Port of the local Bedrock endpoint. 0: any free one.")

    table: str = Field("codecoach", description="Name of the DynamoDB table (backend `aws`).")
    dynamodb_endpoint_url: str = Field(
        "", description="DynamoDB endpoint to use instead of AWS's, for example DynamoDB Local."
    )

    runner: RunnerKind = Field(
        RunnerKind.SANDBOX, description="Where programs run: `sandbox` on this machine, or `piston`."
    )
    piston_urls: str = Field(
        "http://127.0.0.1:2000",
        description="Addresses of Piston servers, separated by commas (runner `piston`). A server that does not answer is left out for a while.",
    )
    piston_jobs: int = Field(
        8, ge=1, description="Programs that run at the same time on each Piston; more wait in a queue."
    )
    gateway: str = Field(
        "",
        description="Where programs on Piston reach their simulated AWS: address by number and port of this machine, for example `172.17.0.1:8700`; Piston's own settings must let them. Empty: they have none.",
    )
    run_timeout_s: float = Field(30.0, gt=0, le=600, description="Seconds of wall clock that a program may run.")
    run_memory_mb: int = Field(1024, ge=64, description="Memory that a program may use, in MB, over all its processes.")
    run_output_kb: int = Field(
        1024, ge=1, description="Output that is kept of a program, in KB, per stream; more ends it."
    )
    run_workers: int = Field(
        default_factory=lambda: 2 * (os.cpu_count() or 2),  # each waits a good part of its time: to be set up, for AWS
        ge=1,
        description="Programs that run at the same time; more wait in a queue. Default: twice the number of cores.",
    )
    run_queue: int = Field(
        100, ge=1, description="Programs that may wait in the queue, whichever runner has it; one more is refused."
    )

    run_role_arn: str = Field(
        "",
        description='ARN of the IAM role that programs may use as "my AWS", each run with credentials of its own for 15 minutes. Empty: there is no "my AWS".',
    )
    run_role_policy: str = Field(
        "ReadOnlyAccess",
        description="What of that role's rights a program gets: names or ARNs of up to 10 managed policies separated by commas, one policy as JSON, or `role` for all that the role may.",
    )
    my_aws: MyAws = Field(
        MyAws.CHOSEN,
        description='Whose programs may use "my AWS": `nobody`, `chosen` (administrators, and accounts that one of them has allowed it in Settings) or `everybody`.',
    )

    public_url: str = Field(
        "",
        description="Address under which people open the app, for example `https://coach.example.com`. A sign-in provider sends them back to it.",
    )
    oidc_metadata_url: str = Field(
        "",
        description="Sign-in through an OpenID provider beside passwords: where its description is, ending in `/.well-known/openid-configuration`. Empty: passwords alone.",
    )
    oidc_client_id: str = Field("", description="Id under which the provider knows this app.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Secret that the provider gave this app.")
    oidc_label: str = Field("", description='Name of the provider on its button. Empty: "single sign-on".')
    oidc_domains: str = Field(
        "",
        description="E-mail domains, separated by commas, whose people get an account by themselves when they first come through the provider. Empty: only those who have an account come in.",
    )
    oidc_trust_email: bool = Field(
        False,
        description="Take the provider's e-mail addresses as theirs who bring them, although it does not say that it verified them. Only for a provider whose users cannot choose their address.",
    )

    budget_month_dollars: float = Field(
        0,
        ge=0,
        le=1e6,
        description="Most that a user's calls to models may cost in a calendar month (UTC), in US dollars by the catalogue's prices. 0: no limit. Models whose price is not known are refused unless the tokens of a month are limited, too. An administrator may give a user other limits in Settings; this holds for all of them.",
    )
    budget_month_tokens: int = Field(
        0, ge=0, le=10**12, description="The same in tokens, sent and received; it counts models of unknown price, too."
    )
    budget_conversation_dollars: float = Field(
        0, ge=0, le=1e6, description="Most that one conversation may cost in all, in US dollars. 0: no limit."
    )
    budget_conversation_tokens: int = Field(0, ge=0, le=10**12, description="The same in tokens.")
    budget_message_dollars: float = Field(
        0,
        ge=0,
        le=1e6,
        description="Most that one call to a model may cost, in US dollars, all that is sent along included; replies in chat become shorter, other calls are refused. 0: no limit.",
    )
    budget_message_tokens: int = Field(0, ge=0, le=10**12, description="The same in tokens.")
    budget_warn_percent: int = Field(
        80, ge=1, le=100, description="Share of a limit from which on a user is warned, in per cent."
    )

    admin_email: str = Field(
        "admin@demo.com",
        description="Sign-in name of the first administrator, created at the first start with a random one-time password.",
    )
    admin_password: SecretStr = Field(
        SecretStr(""),
        description="One-time password of that account, 8 to 64 characters, from wherever a deployment keeps its secrets. Empty: a random one, printed at the start.",
    )
    session_idle_minutes: int = Field(
        30, ge=1, le=24 * 60, description="Minutes without activity after which a sign-in ends."
    )
    session_hours: int = Field(
        12, ge=1, le=30 * 24, description="Hours after which a sign-in ends, however active its user is."
    )
    cookie_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of 32 characters or more that session cookies are signed with. Several, separated by commas: the first signs, all are accepted, so that it can be changed without signing anybody out. Empty: one is made and kept in the table.",
    )
    cookie_secure: bool = Field(
        False,
        description="Send the session cookie over HTTPS only, also where nothing says that HTTPS stands in front. Behind a proxy that sends `X-Forwarded-Proto` or `CloudFront-Forwarded-Proto` that happens by itself.",
    )
    client_address_header: str = Field(
        "",
        description="Header in which a proxy that you trust gives the visitor's address (`CloudFront-Viewer-Address`, or `X-Forwarded-For`, whose last entry counts). Failed sign-ins are counted by it. Empty: the address of the connection.",
    )

    @field_validator("host_names")
    @classmethod
    def _names(cls, names: str) -> str:
        for name in _separated(names):
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
                raise ValueError(f"{name!r} is no host name")
        return names.lower()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(_separated(self.host_names))

    @field_validator("piston_urls")
    @classmethod
    def _addresses(cls, urls: str) -> str:
        for url in _separated(urls) or [urls]:
            if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
                raise ValueError(f"{url!r} is no http:// or https:// address")
        return urls

    @field_validator("gateway", "metrics")
    @classmethod
    def _numbered(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if address and not (port.isdecimal() and int(port) <= 65535):
            raise ValueError("must be ADDRESS:PORT")
        if address:
            # By number: SDKs put the bucket into a host name, and programs on Piston may look up no names.
            ipaddress.IPv4Address(host)
        return address

    @property
    def piston_addresses(self) -> tuple[str, ...]:
        return tuple(_separated(self.piston_urls))

    @field_validator("public_url")
    @classmethod
    def _public(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("no http:// or https:// address without a question mark")
        # As a browser writes it, with which it is compared.
        return re.sub("^[^/]+//[^/]+", lambda origin: origin[0].lower(), url).rstrip("/")

    @field_validator("oidc_metadata_url")
    @classmethod
    def _metadata(cls, url: str) -> str:
        # The keys that sign-ins are checked with come from there.
        if url and not re.fullmatch(r"(https://[^\s/?#@]+|http://(localhost|127\.0\.0\.1)(:\d+)?)/\S+", url):
            raise ValueError("must be an https:// address; http:// is for a provider on this machine alone")
        return url

    @field_validator("oidc_domains")
    @classmethod
    def _domains(cls, domains: str) -> str:
        for domain in _separated(domains):
            if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", domain, re.ASCII | re.IGNORECASE):
                raise ValueError(f"{domain!r} is no domain such as example.com")
        return domains.lower()

    @property
    def oidc_allowed_domains(self) -> tuple[str, ...]:
        return tuple(_separated(self.oidc_domains))

    @field_validator("run_role_arn")
    @classmethod
    def _role(cls, arn: str) -> str:
        if arn and not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", arn, re.ASCII):
            raise ValueError("not the ARN of a role, such as arn:aws:iam::123456789012:role/name")
        return arn

    @field_validator("run_role_policy")
    @classmethod
    def _policy(cls, policy: str) -> str:
        if policy.lstrip().startswith("{"):
            try:
                json.loads(policy)
            except ValueError as error:
                raise ValueError(f"no policy in JSON: {error}") from error
        elif not 1 <= len(_separated(policy)) <= _POLICIES:
            raise ValueError(f"1 to {_POLICIES} policies, or `role` for all that the role may")
        return policy.strip()

    @property
    def run_role_policies(self) -> tuple[str, ...]:
        """The managed policies, where it names such."""
        return tuple(_separated(self.run_role_policy))

    @field_validator("cookie_secret")
    @classmethod
    def _hard_to_guess(cls, secret: SecretStr) -> SecretStr:
        if any(len(one) < SHORTEST_SECRET for one in _separated(secret.get_secret_value())):
            raise ValueError(f"a secret has {SHORTEST_SECRET} characters or more")
        return secret

    @property
    def cookie_secrets(self) -> tuple[str, ...]:
        return tuple(_separated(self.cookie_secret.get_secret_value()))

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr) -> SecretStr:
        if password.get_secret_value() and not 8 <= len(password.get_secret_value()) <= 64:
            raise ValueError("8 to 64 characters")
        return password

    @field_validator("data_dir", "cache_dir")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    def as_environment(self) -> dict[str, str]:
        """The variables that give a process in another folder, where it finds no `.env`, these same settings."""
        given = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        shown = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in given.items()
        }
        return {PREFIX + name.upper(): str(value) for name, value in shown.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.local_model.startswith("http") and not self.local_model_name:
            raise ValueError(f"{PREFIX}LOCAL_MODEL is a URL, so {PREFIX}LOCAL_MODEL_NAME must name the model there")
        if self.oidc_metadata_url:
            needed = ("public_url", "oidc_client_id", "oidc_client_secret")
            missing = [PREFIX + name.upper() for name in needed if not _given(getattr(self, name))]
            if missing:
                raise ValueError(f"{PREFIX}OIDC_METADATA_URL is set, so {' and '.join(missing)} must be")
        elif self.oidc_client_id or _given(self.oidc_client_secret) or self.oidc_domains:
            raise ValueError(f"{PREFIX}OIDC_... settings do nothing without {PREFIX}OIDC_METADATA_URL")
        return self


def load() -> Settings:
    """Settings from the environment and `.env`; raises `SettingsWrong` that names every unknown or malformed one."""
    names = {name for name in {*os.environ, *_names_in_file()} if name.startswith(PREFIX)}
    problems = [_unknown(name) for name in sorted(names) if _field(name) not in Settings.model_fields]
    try:
        settings = Settings()
    except ValidationError as error:
        # The input itself is left out: it may be a secret.
        problems += [_malformed(detail["loc"], detail["msg"]) for detail in error.errors(include_input=False)]
        raise SettingsWrong(problems="; ".join(problems)) from None
    if problems:
        raise SettingsWrong(problems="; ".join(problems))
    return settings


def rows() -> list[tuple[str, str, str]]:
    """The table for people: (variable, default, meaning)."""
    return [
        (PREFIX + name.upper(), _shown_default(name), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _given(value: str | SecretStr) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _separated(values: str) -> list[str]:
    return [value.strip() for value in values.split(",") if value.strip()]


def _field(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower()


def _names_in_file() -> set[str]:
    return {name.upper() for name in dotenv_values(".env")}


def _unknown(variable: str) -> str:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    near = difflib.get_close_matches(variable, known, n=1)
    return f"{variable} is not a setting" + (f" (did you mean {near[0]}?)" if near else "")


def _malformed(location: tuple[int | str, ...], message: str) -> str:
    variable = PREFIX + str(location[0]).upper() if location else ""
    return f"{variable}: {message}".lstrip(": ")


def _shown_default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None:
        return "see meaning" if name == "run_workers" else f"the user's {name.removesuffix('_dir')} folder"
    default = field.default
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)


def markdown() -> str:
    """The README's table."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |" for variable, default, meaning in rows()
    ]
    return "\n".join(lines)


def write_into(readme: Path) -> None:
    """Put the table between the README's marks."""
    text = readme.read_text("utf-8")
    begin = text.index("-->", text.index("<!-- settings:")) + len("-->")
    end = text.index("<!-- end of settings -->")
    readme.write_text(f"{text[:begin]}\n{markdown()}\n{text[end:]}", "utf-8")


if __name__ == "__main__":
    write_into(Path(sys.argv[1]))
