"""A bad wire between guest and gateway: loss, damage, duplicates and disorder cost time and never a byte. Contract C12, A4; RFC 9293 3.8."""

import pytest

import behind
from wire import *

KIB = 1 << 10
SMALL = ["--mtu", "1500"]
# what the wire does, each way; bytes, each way; further options
BAD = {
    "loss0.1": ("loss=0.1", 4 * MIB, SMALL),
    "loss1": ("loss=1", 1 * MIB, SMALL),
    "loss5": ("loss=5", 192 * KIB, SMALL),
    "loss20": ("loss=20", 32 * KIB, SMALL),
    "reorder": ("reorder=5", 1 * MIB, SMALL),
    "dup": ("dup=10", 4 * MIB, SMALL),
    "corrupt": ("corrupt=1", 512 * KIB, SMALL),
    "all": ("loss=1,dup=2,reorder=1,corrupt=0.5,delay=1000,jitter=500", 256 * KIB, SMALL),
    "super-frames": ("loss=2,dup=5,reorder=1,whole", 2 * MIB, []),
    "slow": ("rate=50,queue=50", 4 * MIB, ["--mtu", "1500", "--no-offload"]),
}
BOTH_WAYS = """
web, size = sys.argv[1], int(sys.argv[2])
conn = connect(web, DUPLEX)
conn.settimeout(100)
conn.sendall(b"down %d\\n" % size)
def upload():
    send_stream(conn, "up", size)
    conn.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=upload)
sender.start()
say(*recv_stream(conn, size))
sender.join()
say(recv_line(conn))
"""


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("web", [WEB4, WEB6], ids=["v4", "v6"])
def test_c12_a4_both_ways_at_once(guest, web, bad):
    """The digests of both ends agree; and the wire did do what it was told, in both directions."""
    wire, size, opts = BAD[bad]
    begin = time.monotonic()
    g = guest("", command=behind.command(BOTH_WAYS, web, size, down=wire, up=wire), opts=["--root", *opts], timeout=200)
    done = behind.report(g)
    print(f"{bad}: {size} bytes each way in {time.monotonic() - begin:.1f} s", done)
    assert g.text.split("\n") == [f"{size} {digest('down', size)}", f"{size} {digest('up', size)}"]
    for word in wire.split(","):
        what = word.split("=")[0]
        if what in ("loss", "dup", "reorder", "corrupt"):
            assert done["from_gateway"][what] + done["from_guest"][what] > 0, done
    if "corrupt" in wire:
        assert sum(g.stats["drops"].get(r, 0) for r in ("L4_CHECKSUM", "IP_CHECKSUM", "IP_VERSION", "IP_LENGTH", "IP_HEADER")) > 0, g.stats
