"""Where a name leads, looked up once in a run and to the public internet only."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

HTTPS = 443
_LOOKUPS = 512  # in one run
_LOOKUP_WITHIN_S = 10.0
# Of IPv6 what is handed out to networks, less what carries an IPv4 address inside: that one may be anything.
_HANDED_OUT = ipaddress.IPv6Network("2000::/3")
_CARRY_IPV4 = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))
# What the standard library of some Pythons still calls global. Source: IANA's registries of special-purpose addresses.
_SPECIAL_IPV4 = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
_SPECIAL_IPV6 = (ipaddress.IPv6Network("3fff::/20"),)

Lookup = Callable[[str], Awaitable[Sequence[str]]]
Endpoint = tuple[str, int]


class NoAddress(Exception):
    """The name leads nowhere, or not to the public internet."""


async def system_lookup(name: str) -> Sequence[str]:
    """The addresses of a name as this machine sees it. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, HTTPS, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class PublicAddresses:
    """Name -> where to connect to; the answer to a name stays the same as long as this lives."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._known: dict[str, asyncio.Task[tuple[Endpoint, ...]]] = {}
        self._lookups = 0

    async def __call__(self, name: str) -> tuple[Endpoint, ...]:
        """Raises `NoAddress`."""
        name = name.lower()
        if name not in self._known:
            if self._lookups >= _LOOKUPS:
                raise NoAddress("too many names")
            self._lookups += 1
            self._known[name] = asyncio.create_task(self._found(name))
        try:
            # Who gives up waiting must not take the answer from the others.
            return await asyncio.shield(self._known[name])
        except NoAddress:
            self._known.pop(name, None)  # only what was found stays as it is
            raise

    async def _found(self, name: str) -> tuple[Endpoint, ...]:
        try:
            async with asyncio.timeout(_LOOKUP_WITHIN_S):
                addresses = list(dict.fromkeys(await self._lookup(name)))
        except (OSError, ValueError) as error:
            raise NoAddress(str(error)) from error
        # One that is not is reason enough to trust none of them.
        if not addresses or not all(map(is_public, addresses)):
            raise NoAddress("not a public address")
        return tuple((address, HTTPS) for address in addresses)


def is_public(address: str) -> bool:
    """Whether it belongs to a machine on the public internet: no metadata service, loopback, private or shared network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _SPECIAL_IPV4)
    return parsed in _HANDED_OUT and not any(parsed in network for network in (*_CARRY_IPV4, *_SPECIAL_IPV6))
