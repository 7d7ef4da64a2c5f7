"""Which server names are AWS's own endpoints."""

import re

SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# Names below those suffixes behind which stand machines and programs of any AWS customer.
# Source: the naming of EC2 public DNS names, load balancers, API Gateway stages and endpoints of VPCs in AWS's guides.
CUSTOMERS_OWN = frozenset(("compute", "compute-1", "elb", "execute-api", "vpce"))
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]{2,63}", re.ASCII)


def is_endpoint(name: str) -> bool:
    """Whether a program may talk to this server; `name` in any case, without a dot at its end."""
    lower = name.lower()
    if not lower.isascii() or not _NAME.fullmatch(lower) or not lower.endswith(SUFFIXES):
        return False
    return CUSTOMERS_OWN.isdisjoint(lower.split("."))
