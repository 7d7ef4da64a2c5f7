"""The gate passes TLS to AWS's own endpoints on the public internet, and nothing else, whatever a program sends it."""

import asyncio
import socket
import ssl
import struct

import pytest

from codecoach.runner.aws_gate import dns
from codecoach.runner.aws_gate.addresses import NoAddress, PublicAddresses, is_public
from codecoach.runner.aws_gate.hello import MOST_BYTES, NoHello, server_name
from codecoach.runner.aws_gate.names import is_endpoint
from codecoach.runner.aws_gate.relay import Gate, Most
from tests.certificates import client_context, server_context

NAME = "sts.eu-west-1.amazonaws.com"


# --- names


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        "STS.EU-west-1.AmazonAWS.com",
        "bucket.with.dots.s3.us-east-1.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn",
        "lambda.us-east-1.api.aws",
        "iam.amazonaws.com",
        "old_bucket.s3.amazonaws.com",
        "compute-optimizer.us-east-1.amazonaws.com",
    ],
)
def test_endpoints_of_aws_are_known_in_any_case(name):
    assert is_endpoint(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "amazonaws.com",
        ".amazonaws.com",
        "a..amazonaws.com",
        f"{NAME}.",
        f"{NAME}\n",
        f"{NAME}.evil.org",
        "evilamazonaws.com",
        "sts.eu-west-1.amazonaws.com\0.evil.org",
        "ſts.amazonaws.com",
        "a b.amazonaws.com",
        "-.amazonaws.com",
        f"{'a' * 64}.amazonaws.com",
        f"{'a.' * 130}amazonaws.com",
        "127.0.0.1",
        "[::1]",
        "169.254.169.254.amazonaws.com.evil.org",
        "api.aws",
        "ec2-1-2-3-4.compute-1.amazonaws.com",
        "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com",
        "mine-123.eu-west-1.elb.amazonaws.com",
        "abc123.execute-api.eu-west-1.amazonaws.com",
        "console.aws.amazon.com",
        "abc.lambda-url.eu-west-1.on.aws",
    ],
)
def test_other_names_are_not(name):
    assert not is_endpoint(name)


# --- addresses


@pytest.mark.parametrize("address", ["52.94.5.1", "3.5.140.2", "2600:1f14::1", "2a05:d018:f0b:aa00::1"])
def test_addresses_of_the_public_internet_are_taken(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "169.254.170.2", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "192.88.99.1"),
        *("198.18.0.1", "192.0.0.8", "::", "::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "ff02::1", "fec0::1"),
        *("::ffff:52.94.5.1", "::ffff:169.254.169.254", "::52.94.5.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
        *(
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "",
            "sts",
            "1",
            "0x7f000001",
            "127.1",
        ),
    ],
)
def test_all_others_are_refused(address):
    assert not is_public(address)


def test_one_private_address_spoils_a_name_and_what_was_found_stays():
    answers = [["52.94.5.1", "10.0.0.1"], ["52.94.5.1", "52.94.5.2"], ["10.0.0.1"]]
    asked = []

    async def lookup(name):
        asked.append(name)
        return answers[len(asked) - 1]

    async def use():
        resolve = PublicAddresses(lookup)
        with pytest.raises(NoAddress):
            await resolve(NAME)
        found = await resolve(NAME)
        assert found == (("52.94.5.1", 443), ("52.94.5.2", 443))
        assert await resolve(NAME.upper()) == found

    asyncio.run(use())
    assert asked == [NAME, NAME]


@pytest.mark.parametrize("answer", [[], OSError("no such name"), UnicodeError("label too long")])
def test_a_name_that_leads_nowhere_is_told(answer):
    async def lookup(name):
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(NoAddress):
        asyncio.run(PublicAddresses(lookup)(NAME))


def test_a_program_cannot_have_names_looked_up_for_ever():
    async def use():
        async def lookup(name):
            return ["52.94.5.1"]

        resolve = PublicAddresses(lookup)
        for number in range(512):
            await resolve(f"b{number}.s3.amazonaws.com")
        with pytest.raises(NoAddress):
            await resolve("one-more.s3.amazonaws.com")
        assert await resolve("b1.s3.amazonaws.com")

    asyncio.run(use())


# --- the hello


def real_hello(name: str | None) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def vector(length_bytes: int, content: bytes) -> bytes:
    return len(content).to_bytes(length_bytes) + content


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2) + vector(2, content)


def sni(name: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(2, bytes([kind]) + vector(2, name)))


def message(extensions: bytes, tail: bytes = b"", kind: int = 1) -> bytes:
    body = b"\3\3" + bytes(32) + vector(1, b"") + vector(2, b"\x13\1") + vector(1, b"\0") + vector(2, extensions) + tail
    return bytes([kind]) + vector(3, body)


def records(content: bytes, size: int = 16384) -> bytes:
    return b"".join(b"\x16\3\1" + vector(2, content[at : at + size]) for at in range(0, len(content), size))


GOOD = sni(NAME.encode())


@pytest.mark.parametrize("name", [NAME, "STS.Amazonaws.Com", "a.b.c.s3.amazonaws.com"])
def test_the_name_in_a_real_hello_is_read_as_written(name):
    assert server_name(real_hello(name)) == name


def test_a_hello_may_come_in_pieces_and_in_several_records():
    content = real_hello(NAME)[5:]
    whole = records(content, 100)
    assert len(whole) > len(content) + 5
    for length in range(len(whole)):
        assert server_name(whole[:length]) is None
    assert server_name(whole) == NAME


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: sts.eu-west-1.amazonaws.com\r\n\r\n",
        b"\x80\x2e\1\3\1" + bytes(50),  # SSL 2
        b"\x17\3\3" + vector(2, b"x" * 20),
        b"\x16\2\0" + vector(2, message(GOOD)),
        b"\x16\3\1\0\0" + records(message(GOOD)),
        b"\x16\3\1\xff\xff",
        records(message(GOOD), 4),  # as many records as bytes allow
        records(message(GOOD, kind=2)),
        records(message(GOOD) + b"\1"),
        records(message(GOOD) + message(GOOD)),
        records(message(GOOD, tail=b"x")),
        records(b"\1" + (MOST_BYTES + 1).to_bytes(3) + bytes(100)),
        records(b"\1\0\0\5\3\3"[:6] + bytes(3)),
        records(message(b"")),
        records(message(GOOD + GOOD)),
        records(message(sni(b"a.amazonaws.com") + sni(b"b.amazonaws.com"))),
        records(message(extension(0, b""))),
        records(message(extension(0, vector(2, b"")))),
        records(message(extension(0, vector(2, (b"\0" + vector(2, NAME.encode())) * 2)))),
        records(message(extension(0, vector(2, b"\0" + vector(2, NAME.encode())) + b"x"))),
        records(message(extension(0, b"\xff\xff\0\0\1a"))),
        records(message(sni(NAME.encode(), kind=1))),
        records(message(sni("ſts.amazonaws.com".encode()))),
        records(message(GOOD + b"\0")),
        records(message(GOOD + extension(0xFE0D, bytes(100)))),
        records(message(extension(0xFFCE, b"garbage") + GOOD)),
    ],
)
def test_what_a_server_might_read_differently_is_refused(said):
    with pytest.raises(NoHello):
        server_name(said)


def test_a_real_hello_without_a_name_is_refused():
    with pytest.raises(NoHello):
        server_name(real_hello(None))


# --- the name server


def query(name: bytes, kind: int = 1, flags: int = 0x0100, questions: int = 1) -> bytes:
    labels = b"".join(vector(1, label) for label in name.split(b".")) + b"\0"
    return struct.pack("!6H", 7, flags, questions, 0, 0, 0) + labels + struct.pack("!2H", kind, 1)


def test_an_endpoints_name_is_this_machine():
    told = dns.answer(query(NAME.encode()))
    assert struct.unpack_from("!6H", told) == (7, 0x8180, 1, 1, 0, 0)
    assert told.endswith(socket.inet_aton("127.0.0.1"))


@pytest.mark.parametrize(("name", "kind", "code"), [(NAME, 28, 0), (NAME, 16, 0), ("example.com", 1, 3), ("a", 28, 3)])
def test_it_has_no_other_address_and_other_names_do_not_exist(name, kind, code):
    told = dns.answer(query(name.encode(), kind))
    _, flags, _, answers, _, _ = struct.unpack_from("!6H", told)
    assert (flags & 15, answers) == (code, 0)


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"x" * 11,
        query(NAME.encode())[:-1],
        query(NAME.encode(), flags=0x8100),
        query(NAME.encode(), flags=0x2800),
        query(NAME.encode(), questions=2),
        struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\x3fshort",
        struct.pack("!6H", 7, 0, 1, 0, 0, 0) + vector(1, b"sts.amazonaws") + vector(1, b"com") + b"\0\0\1\0\1",
    ],
)
def test_what_is_no_query_gets_no_answer(odd):
    assert dns.answer(odd) is None


# --- the relay


async def relaying(gate: Gate, use):
    """Open the gate on a port of this machine and use it: `use(port)`."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    await gate.open(listener)
    try:
        return await use(port)
    finally:
        gate.close()


@pytest.fixture
def tls(tmp_path):
    """(context of a server that is called NAME, context of a client that trusts it)."""
    return server_context(tmp_path, NAME), client_context(tmp_path)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_bytes_pass_both_ways_and_stay_encrypted(tls):
    theirs, ours = tls
    asked = []

    async def scenario():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=theirs)

        async def resolve(name):
            asked.append(name)
            nobody = ("127.0.0.1", 9)
            return [nobody, server.sockets[0].getsockname()]

        async def use(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ours, server_hostname=NAME)
            writer.write(b"x" * 300_000)
            await writer.drain()
            assert await reader.readexactly(300_000) == b"x" * 300_000
            writer.close()

        async with server:
            await relaying(Gate(resolve), use)

    asyncio.run(scenario())
    assert asked == [NAME]


async def alert_to(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    told = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return told


@pytest.mark.parametrize(
    ("said", "alert"),
    [
        (records(message(sni(b"example.com"))), 112),
        (records(message(sni(b"127.0.0.1"))), 112),
        (records(message(sni(f"{NAME}.".encode()))), 112),
        (records(message(sni(b"a" * 10_000 + b".amazonaws.com"))), 112),
        (records(message(b"")), 50),
        (b"GET / HTTP/1.1\r\n\r\n", 50),
    ],
)
def test_who_asks_for_something_else_is_told_so_in_tls_and_nothing_is_looked_up(said, alert):
    async def resolve(name):
        pytest.fail(f"{name} was looked up")

    async def use(port):
        assert await alert_to(port, said) == bytes((21, 3, 3, 0, 2, 2, alert))

    asyncio.run(relaying(Gate(resolve), use))


def test_a_name_that_leads_to_this_machine_is_not_connected_to():
    async def scenario():
        reached = []
        server = await asyncio.start_server(lambda *ends: reached.append(ends), "127.0.0.1", 0)

        async def lookup(name):
            return ["127.0.0.1"]

        async def use(port):
            assert (await alert_to(port, records(message(GOOD))))[-1] == 80
            assert reached == []

        async with server:
            await relaying(Gate(PublicAddresses(lookup)), use)

    asyncio.run(scenario())


def test_a_hello_that_does_not_come_is_not_waited_for():
    async def resolve(name):
        return []

    async def use(port):
        assert (await alert_to(port, records(message(GOOD))[:20]))[-1] == 50

    asyncio.run(relaying(Gate(resolve, Most(hello_within_s=0.1)), use))


def test_connections_are_bounded_at_a_time_and_altogether():
    async def resolve(name):
        raise NoAddress("none")

    async def use(port):
        first = await asyncio.open_connection("127.0.0.1", port)
        first[1].write(b"\x16")
        await first[1].drain()
        while not gate._relays:
            await asyncio.sleep(0.01)
        assert await ended(port)  # a second one at the same time
        first[1].close()
        while gate._relays:
            await asyncio.sleep(0.01)
        assert (await alert_to(port, records(message(GOOD))))[-1] == 80
        assert await ended(port)  # the fourth

    async def ended(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        told = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return told == b""

    gate = Gate(resolve, Most(at_a_time=1, connections=3))
    asyncio.run(relaying(gate, use))


def test_bytes_are_bounded_over_all_connections(tls):
    theirs, ours = tls

    async def scenario():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=theirs)

        async def resolve(name):
            return [server.sockets[0].getsockname()]

        async def use(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ours, server_hostname=NAME)
            got = b""
            try:
                while len(got) < 200_000:
                    writer.write(b"x" * 10_000)
                    got += await asyncio.wait_for(reader.readexactly(10_000), 60)
            except (OSError, asyncio.IncompleteReadError):
                pass
            writer.close()
            assert 10_000 < len(got) < 60_000
            late, end = await asyncio.open_connection("127.0.0.1", port)
            assert await asyncio.wait_for(late.read(), 60) == b""
            end.close()

        async with server:
            await relaying(Gate(resolve, Most(total_bytes=100_000)), use)

    asyncio.run(scenario())
