"""Which IP addresses are out on the internet, and which lead inside; read wherever one is checked.

Used by config.base_urls for what is written, and by proxy.connector for what a name leads to.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NAT64_PREFIX = 0x0064_FF9B << 64  # 64:ff9b::/96, shifted right by the 32 bits of the address
SIX_TO_FOUR = 0x2002
TEREDO = 0x20010000
GLOBAL_UNICAST = 0b001  # 2000::/3: everything else is local, reserved or a wrapping of IPv4
# Inside, though the registries or some releases of ipaddress call them global: Azure's host,
# protocol assignments (Oracle's metadata among them), 6to4 relays, documentation.
NOT_PUBLIC = tuple(
    map(ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
)


def is_public_address(text: str) -> bool:
    """Return whether an address is global, looking through every way to wrap an IPv4 one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = _wrapped_ipv4(address)
        if inner is not None:
            return _is_global(inner)
    return _is_global(address)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and int(address) >> 125 != GLOBAL_UNICAST:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in NOT_PUBLIC)


def _wrapped_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if number >> 112 == SIX_TO_FOUR:
        return IPv4Address((number >> 80) & 0xFFFFFFFF)
    if number >> 96 == TEREDO:
        return IPv4Address(~number & 0xFFFFFFFF)
    if number >> 32 in {NAT64_PREFIX, 0}:
        return IPv4Address(number & 0xFFFFFFFF)
    return None
