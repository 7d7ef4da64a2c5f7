"""Whether a CodeCoach can be used: asks its health page, `python -m codecoach.health URL`. Needs the standard library only.

Exit code 0: every part works. 1: one does not, or not yet, or nobody answers; the line printed says which.
"""

import json
import sys
from http.client import HTTPException
from typing import Final
from urllib.request import urlopen

ANSWERS_WITHIN_S: Final = 8.0
GOOD: Final = "ok"


def problem(url: str) -> str:
    """Why the CodeCoach at this address cannot be used, or nothing. A part that was not looked at yet counts as not working."""
    try:
        with urlopen(f"{url.rstrip('/')}/healthz", timeout=ANSWERS_WITHIN_S) as answer:  # noqa: S310 - by whoever calls us
            found = json.load(answer)
        states = {str(name): _said(part) for name, part in found["parts"].items() if part["state"] != GOOD}
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {error}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{url} answers, but is no CodeCoach"
    return ", ".join(f"{name}: {state}" for name, state in states.items())


def _said(part: dict[str, str]) -> str:
    return part["state"] + (f" ({part['why']})" if part.get("why") else "")


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m codecoach.health URL", file=sys.stderr)  # noqa: T201
        return 2
    found = problem(sys.argv[1])
    print(found or GOOD)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
