"""Failures are counted by what one visitor cannot easily change: an IPv4 address, or an IPv6 network."""

import pytest

from codecoach.ui.visitor import address_group


@pytest.mark.parametrize(
    ("given", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:51413", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]:443", "2001:db8:1:2::/64"),
        ("2001:0db8:0001:0002:0003:0004:0005:0006:443", "2001:db8:1:2::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_addresses_are_grouped(given, group):
    assert address_group(given) == group
