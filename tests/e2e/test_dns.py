"""The DNS relay with a real client: dig over UDP and TCP, both families, EDNS sizes, failover, floods and forgers.

The name servers are this file's own, on loopback addresses of the host: what the relay may reach and the guest may not.
"""

import re

import pytest

from wire import *

FIRST, SECOND, STUB, SIX = "127.0.0.11", "127.0.0.12", "127.0.0.53", "fd53::53"
NOBODY = "203.0.113.77"  # on the host's link, but nobody answers its ARP
QUIET = ["--stats=json", "--log-level", "error"]
RELAYS = [DNS4, DNS6]
DIG = ["dig", "+time=10", "+tries=1", "+nocookie"]


class NameServer:
    """One address, UDP and TCP.  Answers "size-N.test" with a message of N bytes, anything else with an address; `silent` only listens."""

    def __init__(self, addr, silent=False, forge=None):
        family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        self.silent, self.forge = silent, forge
        self.heard = []  # (protocol, connection or port, id, name)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((addr, 53))
        self.tcp = socket.create_server((addr, 53), family=family)
        self.conns = []
        for loop in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=loop, daemon=True).start()

    def close(self):
        for sock in (self.udp, self.tcp, *self.conns):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def names(self, protocol):
        return [name for p, _, _, name in self.heard if p == protocol]

    def answer(self, protocol, where, query):
        end = query.index(b"\0", 12) + 5
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name = ".".join(labels)
        self.heard.append((protocol, where, struct.unpack("!H", query[:2])[0], name))
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end]
        size = re.match(r"size-(\d+)\.", name)
        if not size:
            return head + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 1])
        left, text = int(size[1]) - len(head) - 12, b""
        while left > 0:
            n = min(left, 256) if left != 257 else 255
            text += bytes([n - 1]) + b"x" * (n - 1)
            left -= n
        return head + b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, len(text)) + text

    def serve_udp(self):
        try:
            while True:
                query, client = self.udp.recvfrom(4096)
                if not query:
                    return
                answer = self.answer("udp", client[1], query)
                if self.silent:
                    continue
                for lie in self.forge(answer) if self.forge else []:
                    self.udp.sendto(lie, client)
                self.udp.sendto(answer, client)
        except OSError:
            pass

    def serve_tcp(self):
        try:
            while True:
                conn = self.tcp.accept()[0]
                self.conns.append(conn)
                threading.Thread(target=self.serve_conn, args=(conn, len(self.conns)), daemon=True).start()
        except OSError:
            pass

    def serve_conn(self, conn, number):
        try:
            while size := conn.recv(2, socket.MSG_WAITALL):
                answer = self.answer("tcp", number, conn.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL))
                if not self.silent:
                    conn.sendall(struct.pack("!H", len(answer)) + answer)
            conn.close()
        except OSError:
            pass


@pytest.fixture
def serve(shell):
    """serve(ADDR...) -> the servers, gone with the test."""
    servers = []

    def make(*addrs, **kw):
        servers.extend(NameServer(a, **kw) for a in addrs)
        return servers[-1] if len(addrs) == 1 else servers[-len(addrs):]
    shell("ip", "address", "add", SIX + "/128", "dev", "lo", "nodad")
    yield make
    for server in servers:
        server.close()
    shell("ip", "address", "del", SIX + "/128", "dev", "lo")


def servers_opts(*addrs):
    return [*QUIET, *(word for a in addrs for word in ("--dns", a))]


@pytest.fixture
def dig(guest):
    """dig(RELAY, WORDS..., servers=[...]) -> Guest, whose text is dig's."""
    def run(relay, *words, servers=(FIRST,), opts=(), **kw):
        return guest("", command=[*DIG, "@" + relay, *words], opts=[*servers_opts(*servers), *opts], defaults=False, **kw)
    return run


@pytest.mark.parametrize("server", [FIRST, SIX])
@pytest.mark.parametrize("relay", RELAYS)
def test_dig(dig, serve, relay, server):
    """UDP and TCP, toward servers of both families, whatever the guest's own."""
    s = serve(server)
    assert dig(relay, "+short", "one.test", servers=[server]).text == "192.0.2.1"
    assert dig(relay, "+short", "+tcp", "two.test", servers=[server]).text == "192.0.2.1"
    assert s.names("udp") == ["one.test"] and s.names("tcp") == ["two.test"]


def size_of(text):
    return int(re.search(r"MSG SIZE\s+rcvd: (\d+)", text)[1])


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("bufsize, size, cut", [("+noedns", 512, False), ("+noedns", 513, True), ("+bufsize=1232", 1232, False),
                                                ("+bufsize=1232", 1233, True), ("+bufsize=4096", 4000, False), ("+bufsize=4096", 4097, True)])
def test_edns_sizes(dig, serve, relay, bufsize, size, cut):
    """Up to the size that the guest announced, in fragments where its MTU is less; beyond it, TC."""
    serve(FIRST)
    text = dig(relay, bufsize, "+ignore", f"size-{size}.test", "TXT", opts=["--mtu", "1400"]).text
    assert bool(re.search(r"flags:[a-z ]* tc[ ;]", text)) == cut
    assert size_of(text) < 100 if cut else size_of(text) == size
    if cut:  # the server's OPT record is cut off with the rest, ours takes its place for who sent one
        assert ("; EDNS: version: 0" in text) == (bufsize != "+noedns")


@pytest.mark.parametrize("relay", RELAYS)
def test_truncated_retries_over_tcp(dig, serve, relay):
    s = serve(FIRST)
    text = dig(relay, "+bufsize=1232", "size-20000.test", "TXT").text
    assert "retrying in TCP mode" in text and size_of(text) == 20000
    assert s.names("udp") == s.names("tcp") == ["size-20000.test"]


@pytest.mark.parametrize("relay", RELAYS)
def test_many_on_one_connection(guest, dig, serve, relay):
    """dig asks one after the other; a resolver sends all its questions at once (RFC 7766 6.2.1.1)."""
    s = serve(FIRST)
    dig(relay, "+tcp", "+keepopen", "a.test", "b.test", "c.test")
    assert s.names("tcp") == ["a.test", "b.test", "c.test"] and len(s.conns) == 1
    g = guest("""
conn = connect(sys.argv[1], 53)
for i in range(50):
    q = dns_query(f"size-{100 + i * 50}.test", 16, i)
    conn.sendall(struct.pack("!H", len(q)) + q)
for i in range(50):
    size = struct.unpack("!H", conn.recv(2, socket.MSG_WAITALL))[0]
    a = conn.recv(size, socket.MSG_WAITALL)
    assert struct.unpack("!H", a[:2])[0] == i and size == 100 + i * 50, (i, size)
say("all")
""", relay, opts=servers_opts(FIRST), defaults=False)
    assert g.text == "all" and len(s.conns) == 2


ASK = """
relay, transport, *names = sys.argv[1:]
for name in names:
    start = time.monotonic()
    a = (dns_tcp if transport == "tcp" else dns_udp)(relay, name)
    say(a[3] & 15, round(time.monotonic() - start, 2))
"""


def asked(g):
    return [(int(rcode), float(seconds)) for rcode, seconds in (line.split() for line in g.text.splitlines())]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_first_refuses(guest, serve, transport):
    """ICMP port unreachable, or RST: the next server at once; whatever comes then does not ask the first again."""
    s = serve(SECOND)
    g = guest(ASK, DNS4, transport, "a.test", "b.test", opts=servers_opts(FIRST, SECOND), defaults=False)
    assert [r for r, _ in asked(g)] == [0, 0] and max(t for _, t in asked(g)) < 1.5
    assert s.names(transport) == ["a.test", "b.test"]


def test_first_is_silent(guest, serve):
    first, second = serve(FIRST, silent=True), serve(SECOND)
    g = guest(ASK, DNS4, "udp", "a.test", "b.test", opts=servers_opts(FIRST, SECOND), defaults=False)
    (r1, t1), (r2, t2) = asked(g)
    assert (r1, r2) == (0, 0) and 1.9 < t1 < 4.5 and t2 < 1.5  # 2 s for the first try
    assert set(first.names("udp")) == {"a.test"} and second.names("udp") == ["a.test", "b.test"]


def test_first_does_not_answer_tcp(guest, serve):
    """A SYN that nobody answers: the next server after 2 s, while the guest's own SYN is held."""
    s = serve(SECOND)
    g = guest(ASK, DNS4, "tcp", "a.test", "b.test", opts=servers_opts(NOBODY, SECOND), defaults=False)
    (r1, t1), (r2, t2) = asked(g)
    assert (r1, r2) == (0, 0) and t1 < 5 and t2 < 1.5
    assert s.names("tcp") == ["a.test", "b.test"]


def test_nobody_answers(guest, serve):
    """SERVFAIL within 5 s over UDP, and it is counted; over TCP a reset."""
    serve(FIRST, silent=True)
    g = guest(ASK, DNS4, "udp", "a.test", opts=servers_opts(FIRST), defaults=False)
    (rcode, seconds), = asked(g)
    assert rcode == 2 and 4.9 < seconds < 8 and g.stats["drops"]["DNS_TIMEOUT"] == 1
    g = guest("say(refusal(DNS4, 53)[0])", opts=servers_opts(SECOND), defaults=False)
    assert g.text == "ECONNREFUSED"


def test_flood(guest, serve):
    """256 in flight; one more gives up the oldest, by name and number, and the newest are still served."""
    s = serve(FIRST, silent=True)
    g = guest("""
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((DNS4, 53))
for i in range(300):
    sock.send(dns_query(f"n{i}.test", 1, i))
    time.sleep(0.002)
sock.settimeout(LIMIT)
ids = {struct.unpack("!H", sock.recv(4096)[:2])[0] for _ in range(256)}
say(len(ids), min(ids))
""", opts=servers_opts(FIRST), defaults=False)
    assert g.text == "256 44"  # the 44 oldest hear nothing, all others SERVFAIL
    assert g.stats["drops"]["DNS_FULL"] == 44 and g.stats["drops"]["DNS_TIMEOUT"] == 256
    assert len(set(s.names("udp"))) == 300


def forgeries(answer):
    yield bytes([answer[0] ^ 1]) + answer[1:]                # another id
    yield answer[:13] + b"z" + answer[14:]                   # another question
    yield answer[:2] + bytes([answer[2] & 0x7f]) + answer[3:]  # no answer
    yield answer[:8]                                         # no message


def test_forgers(guest, serve):
    """From the server's own address: dropped and counted, the right answer comes through. From elsewhere: the kernel keeps it away."""
    s = serve(FIRST, forge=forgeries)
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind((FIRST, 0))
    genuine = s.answer

    def also_from_elsewhere(protocol, where, query):
        answer = genuine(protocol, where, query)
        other.sendto(answer[:-1] + b"\x66", (FIRST.rsplit(".", 1)[0] + ".1", where))
        return answer
    s.answer = also_from_elsewhere
    g = guest("say(dns_udp(DNS4, 'www.test')[-4:].hex())", opts=servers_opts(FIRST), defaults=False)
    other.close()
    assert g.text == "c0000201" and g.stats["drops"]["DNS_MISMATCH"] == 4


def test_unpredictable(guest, serve):
    """RFC 5452: id and source port of every query are new, whatever the guest's are."""
    s = serve(FIRST)
    guest("for i in range(64): dns_udp(DNS4, f'n{i}.test')", opts=servers_opts(FIRST), defaults=False)
    ports, ids = {where for _, where, _, _ in s.heard}, {number for _, _, number, _ in s.heard}
    assert len(s.heard) == 64 and len(ports) > 56 and len(ids) > 56 and 0x1234 not in ids


def test_kept_port(guest, serve):
    """Who keeps his port keeps ours, under a new id each time; another server, another port."""
    first, second = serve(FIRST, SECOND)
    g = guest("""
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(LIMIT)
sock.connect((DNS4, 53))
for i in range(64):
    sock.send(dns_query(f"n{i}.test", 1, 7))
    assert sock.recv(4096)[:2] == bytes([0, 7])
""", opts=servers_opts(FIRST, SECOND), defaults=False)
    assert len({where for _, where, _, _ in first.heard}) == 1 and len({number for _, _, number, _ in first.heard}) > 56
    assert len(first.heard) == 64 and not second.heard and "DNS_MISMATCH" not in g.stats["drops"]


def test_stub_of_the_host(guest, serve):
    """systemd-resolved's 127.0.0.53 is the relay's to ask, not the guest's."""
    s = serve(STUB)
    g = guest("""
say(dns_udp(DNS4, "a.test")[3] & 15, dns_tcp(DNS4, "b.test")[3] & 15, refusal(GATEWAY4, 53)[0], refusal("127.0.0.53", 53)[0])
""", opts=servers_opts(STUB), defaults=False)
    assert g.text.split()[:2] == ["0", "0"] and g.text.split()[2] != "connected" and g.text.split()[3] == "ECONNREFUSED"
    assert s.names("udp") == ["a.test"] and s.names("tcp") == ["b.test"]


def test_malformed(guest, serve):
    """What is no query goes no further."""
    s = serve(FIRST)
    g = guest("""
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((DNS4, 53))
sock.send(b"short")
sock.send(dns_query("a.test", 1)[:-1])
sock.send(bytes([0, 1, 0x80]) + dns_query("a.test", 1)[3:])
say(dns_udp(DNS4, "b.test")[3] & 15)
""", opts=servers_opts(FIRST), defaults=False)
    assert g.text == "0" and g.stats["drops"]["DNS_MALFORMED"] == 3 and s.names("udp") == ["b.test"]
