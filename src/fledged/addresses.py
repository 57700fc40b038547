"""Which addresses are of the open internet: what is fetched for others may not reach this machine's own network."""

from __future__ import annotations

import ipaddress

# Services of clouds that answer on public addresses, to their machines only.
_METADATA = {ipaddress.ip_address("168.63.129.16"), ipaddress.ip_address("192.0.0.192")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # bits 64 to 96, before an IPv4 address: https://www.rfc-editor.org/rfc/rfc5214
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, with IPv4 in IPv6 taken for what it stands for."""
    try:
        ip: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64 or (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:  # deprecated since 2004, still private where it is used: Python calls it global
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip in _METADATA)
