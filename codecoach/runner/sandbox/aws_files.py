"""The AWS configuration files a program finds, for code that names a profile and so does not look at variables alone."""

from collections.abc import Mapping

from codecoach.runner.credentials import profile_files

_CONFIG, _CREDENTIALS = "/etc/aws/config", "/etc/aws/credentials"


def variables() -> dict[str, str]:
    """Outside the working folder, so that they are no result files."""
    return {"AWS_CONFIG_FILE": _CONFIG, "AWS_SHARED_CREDENTIALS_FILE": _CREDENTIALS}


def contents(environment: Mapping[str, str]) -> dict[str, bytes]:
    """Path -> content, saying the same as the `environment` of `credentials.environment`."""
    config, keys = profile_files(environment)
    return {_CONFIG: config, _CREDENTIALS: keys}
