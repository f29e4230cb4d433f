"""Which addresses webhooks may reach: public ones, and what an operator allows."""

import ipaddress
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# What carries an IPv4 address on to where that leads: 6to4 and its relays, Teredo, NAT64 and
# addresses "compatible" with IPv4; and site-local addresses, which were private once.
_CARRIERS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "2002::/16",
        "192.88.99.0/24",
        "2001::/32",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "::/96",
        "fec0::/10",
    )
)


def may_reach(text: str, networks: Sequence[Network], *, encrypted: bool) -> bool:
    """Tell whether messages may go to an address: to those of `networks`, and encrypted ones to
    public addresses."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in networks):
        return True
    carried = any(address in carrier for carrier in _CARRIERS)
    return encrypted and address.is_global and not address.is_multicast and not carried


def is_literal(host: str) -> bool:
    """Tell whether a host is written as an address, and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
