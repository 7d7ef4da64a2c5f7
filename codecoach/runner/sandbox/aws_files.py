"""The AWS configuration files a program finds, for code that names a profile and so does not look at variables alone."""

from collections.abc import Mapping

_CONFIG, _CREDENTIALS = "/etc/aws/config", "/etc/aws/credentials"


def variables() -> dict[str, str]:
    """Outside the working folder, so that they are no result files."""
    return {"AWS_CONFIG_FILE": _CONFIG, "AWS_SHARED_CREDENTIALS_FILE": _CREDENTIALS}


def contents(environment: Mapping[str, str]) -> dict[str, bytes]:
    """Path -> content, saying the same as the `environment` of `credentials.environment`."""
    settings = {"region": "AWS_REGION", "endpoint_url": "AWS_ENDPOINT_URL"}
    config = "".join(f"{name} = {environment[key]}\n" for name, key in settings.items() if key in environment)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    keys = [f"{name.lower()} = {environment[name]}" for name in names if name in environment]
    return {_CONFIG: f"[default]\n{config}".encode(), _CREDENTIALS: "\n".join(["[default]", *keys, ""]).encode()}
