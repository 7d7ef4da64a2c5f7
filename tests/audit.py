"""Known weaknesses of the locked packages: `python -m tests.audit`, which `make check` calls.

pip-audit asks the package index for them. Where that is a mirror without such data, or there is no network, it says how many
packages were not audited; it does not claim that they are good.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements-dev.lock"
PATIENCE_S = 300


def main() -> int:
    """Audit the lock; 1 where a package has a known weakness."""
    command = [
        "-m",
        "pip_audit",
        "-r",
        str(LOCK),
        "--disable-pip",
        "--no-deps",
        "-f",
        "json",
        "--progress-spinner",
        "off",
    ]
    try:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return told([f"Not audited: no answer within {PATIENCE_S} s."], 0)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return told([f"Not audited: {reason}"], 0)
    return told(*verdict(dependencies))


def verdict(dependencies: Sequence[dict]) -> tuple[list[str], int]:
    """What pip-audit found, in lines, and the exit code."""
    found = [
        f"{one['name']} {one['version']}: {weakness['id']}, mended in {', '.join(weakness['fix_versions']) or 'no version yet'}"
        for one in dependencies
        for weakness in one.get("vulns", [])
    ]
    passed_over = [one["name"] for one in dependencies if "skip_reason" in one]
    lines = [*found, f"{len(dependencies) - len(passed_over)} packages audited, {len(found)} known weaknesses."]
    if passed_over:
        lines.append(f"Not audited, because the index here has no data on them: {len(passed_over)} packages.")
    return lines, 1 if found else 0


def told(lines: Sequence[str], code: int) -> int:
    print(*lines, sep="\n")  # noqa: T201 - a command of `make check`
    return code


if __name__ == "__main__":
    sys.exit(main())
