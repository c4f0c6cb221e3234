"""Ways to write an address that leads inside, for every place that takes a base_url.

Two kinds: what the text alone must refuse, and names that look public and whose look-up leads
inside (the connector's work). The spellings are the well-known ones of URL parsers, inet_aton,
IPv6 transition and cloud metadata.
"""

METADATA_HOSTS = (
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "[fd00:ec2::254]", "[fe80::a9fe:a9fe]", "metadata.google.internal", "instance-data.internal",
)  # fmt: skip

LITERAL_HOSTS = (
    *METADATA_HOSTS,
    # loopback, private, shared and special ranges as they are
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "100.64.0.1", "100.127.255.254", "0.0.0.0", "0.0.0.1", "198.18.0.1", "224.0.0.1",  # noqa: S104
    "240.0.0.1", "255.255.255.255", "192.0.2.1", "192.88.99.1",
    # decimal, octal, hexadecimal, mixed, short and padded forms of 127.0.0.1 and 169.254.169.254
    "2130706433", "2852039166", "017700000001", "0x7f000001", "0x7F.0x0.0x0.0x1", "0177.0.0.1",
    "0177.0.0.01", "0x7f.1", "127.1", "127.0.1", "127.0x0.1", "0251.0376.0251.0376",
    "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "169.254.43518", "169.16689662", "00127.0.0.1",
    "127.000.000.001", "4294967295", "0", "0x", "1.2.3.0x7f", "8.8.8.010",
    # trailing dots
    "127.0.0.1.", "169.254.169.254.", "localhost.", "2130706433.",
    # IPv6: loopback, unspecified, mapped, compatible, 6to4, Teredo, NAT64, local
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:169.254.169.254]", "[::127.0.0.1]", "[::7f00:1]",
    "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:0:0:0:0:80ff:fffe]",
    "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::1]", "[fc00::1]",
    "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]",
    "[::ffff:0:127.0.0.1]", "[fe80::1%25eth0]", "[fe80::1%eth0]",
    # names of the inside
    "localhost", "LOCALHOST", "a.localhost", "printer.local", "db.internal", "x.home.arpa",
    "kubernetes.default.svc.cluster.local",
)  # fmt: skip

# The whole URL is the trick: what is before, behind or in the host.
URLS = (
    "https://api.openai.com@127.0.0.1/v1", "https://127.0.0.1#@api.openai.com/v1",
    "https://user:pass@api.openai.com/v1", "https://api.openai.com\\@127.0.0.1/v1",
    "https://127.0.0.1\\.api.openai.com/v1", "https://api.openai.com/v1?x=https://127.0.0.1",
    "https://api.openai.com/v1#fragment", "https:///127.0.0.1/v1", "https:127.0.0.1", "//127.0.0.1",
    "http://api.openai.com/v1", "ftp://api.openai.com/", "file:///etc/passwd", "gopher://x:70/_",
    "https://", "https://:443/", "https://api.openai.com:0/", "https://api.openai.com:99999/",
    "https://api openai com/", "https://api.openai.com /", "https://api.openai.com\t/",
    "https://api.openai.com\n.evil.example/", "https://api.openai.com%2f127.0.0.1/",
    "https://%31%32%37.0.0.1/", "https://127。0。0。1/", "https://①②⑦.⓪.⓪.①/",
    "https://\uff11\uff12\uff17.0.0.1/", "https://lo\u0441alhost/", "https://ⓛocalhost/", "https://[::1/",
    "https://::1/", "https://[127.0.0.1]/", "https://[::1]x/", "https://api..openai.com@/",
    "https://127.0.0.1:443\\/", "data:text/plain,x", "unix:/run/docker.sock", "jar:https://x!/",
)  # fmt: skip

REFUSED = (*(f"https://{host}/v1" for host in LITERAL_HOSTS), *URLS)
FINE = (
    "https://api.openai.com/v1", "https://api.openai.com/v1/", "https://8.8.8.8/v1",
    "https://[2606:4700:4700::1111]/v1", "https://host.of-somebody.com:8443/a/b",
    "https://resource.openai.azure.com", "https://api.openai.com./v1", "https://1.1.1.1.nip.io/",
)  # fmt: skip

# What a look-up may answer with: none of it may be connected to.
INSIDE_ADDRESSES = (
    "127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "192.168.1.1", "0.0.0.0",  # noqa: S104
    "::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "2002:7f00:1::", "64:ff9b::7f00:1", "fd00::1",
    "fe80::1", "168.63.129.16",
)  # fmt: skip
