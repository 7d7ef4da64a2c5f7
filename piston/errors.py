"""What can go wrong with packages, in one tree below `CodeCoachError`.

    ToolkitError
    ├── PackageUnknown      no folder holds such a package
    ├── PackageUnfit        a package or its build is not in the form that Piston takes
    ├── IndexBroken         a file that should be an index is none, or holds a line that Piston would stumble over
    ├── Unreachable         an address does not give what it should, after all tries
    ├── ChecksumWrong       what came is not what the index names
    ├── PistonRefused       Piston answers, and does not do it
    ├── IndexDown           Piston was not asked, since without its index it would crash
    └── GitHubRefused       GitHub does not do it, or asks to wait longer than we do
        └── TokenMissing    no token in the environment

A failed build is a `RuntimeBroken`, as it is for the sandbox. No value holds a token or the part of an address that may
hold one.
"""

from codecoach.errors import CodeCoachError


class ToolkitError(CodeCoachError):
    key = "toolkit_error"


class PackageUnknown(ToolkitError):
    key = "package_unknown"


class PackageUnfit(ToolkitError):
    key = "package_unfit"


class IndexBroken(ToolkitError):
    key = "index_broken"


class Unreachable(ToolkitError):
    key = "unreachable"


class ChecksumWrong(ToolkitError):
    key = "checksum_wrong"


class PistonRefused(ToolkitError):
    key = "piston_refused"


class IndexDown(ToolkitError):
    key = "index_down"


class GitHubRefused(ToolkitError):
    key = "github_refused"


class TokenMissing(GitHubRefused):
    key = "token_missing"
