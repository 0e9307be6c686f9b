"""Checks open.py against the worked examples of FORMAT.md and messages built here.

Builds with its own HKDF, so that a mistake in open.py's does not cancel out.
"""
import base64, hashlib, hmac, json, subprocess, sys
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Encryptor
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import open as opener

DATA_KEY, SALT, KEK = bytes(range(32)), bytes(range(0x80, 0x98)), b"\x01" * 32
ALL = {b"tenant": b"acme", b"row": b"7"}
ARGS = ("--context", "tenant=acme", "--context", "row=7")
KEYED = ("--data-key", DATA_KEY.hex(), *ARGS)
LABELS = {1: b"bulla/1 AES-256-GCM 64KiB\0", 2: b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"}
CHUNK = {1: 65536, 2: 16384}
counts = {"passed": 0, "failed": 0}

def check(name, ok, detail=""):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print(f"FAILED {name} {detail}")

# --- building

HASH = {1: "sha256", 2: "sha512"}

def expand(name, key, info, n):
    t1 = hmac.digest(key, info + b"\1", name)
    return (t1 + hmac.digest(key, t1 + info + b"\2", name))[:n]

def lenp(width, data):
    return len(data).to_bytes(width, "big") + data

def raw_pairs(items, count=None):
    """pairs as they are given, in whatever order"""
    body = b"".join(lenp(2, s) for pair in items for s in pair)
    return bytes([len(items) if count is None else count]) + body

def pairs(context):
    return raw_pairs(sorted(context.items()))

def record(name=b"default", wrapped=b"\xaa" * 60, scheme=b"local", algorithm=0):
    return bytes([algorithm]) + lenp(1, scheme) + lenp(2, name) + lenp(2, wrapped)

def context_x(suite, context):
    digest = hashlib.new(HASH[suite], pairs(context)).digest()
    return digest if suite == 1 else b"bulla/1\0\2" + digest

def derive(suite, context, salt=SALT):
    info = LABELS[suite] + salt + context_x(suite, context)
    if suite == 1:
        out = expand("sha256", DATA_KEY, info, 64)
        return out[:32], bytes(12), out[32:]
    out = expand("sha512", DATA_KEY, info, 76)
    return out[:32], out[32:44], out[44:]

def header_tag(suite, untagged, behind):
    return expand(HASH[suite], DATA_KEY, b"bulla/1 header\0" + untagged + behind, 32)

def seal_chunk(suite, context, i, plain, salt=SALT):
    key, base, _ = derive(suite, context, salt)
    nonce = (int.from_bytes(base, "big") ^ i).to_bytes(12, "big")
    return AESGCM(key).encrypt(nonce, plain, None)

def chunks(suite, plain, context=ALL, salt=SALT):
    c = CHUNK[suite]
    return [seal_chunk(suite, context, i, plain[i * c : (i + 1) * c], salt)
            for i in range(len(plain) // c + 1)]

def seal(suite=1, plain=b"hello", context=ALL, salt=SALT, stored=None, records=(record(),), body=None,
         magic=b"bulla", version=1, flags=0, padding=b"", h=None, r=None, commitment=None):
    """A message whose tag is right for its bytes, whatever they are."""
    stored = pairs({b"tenant": b"acme"}) if stored is None else stored
    r = len(records) if r is None else r
    rest = stored + bytes([r]) + b"".join(records) + padding
    h = 10 + len(rest) + 32 if h is None else h
    # the suite's own number may be unknown, so the derivation falls back to suite 1
    derived = suite if suite in LABELS else 1
    if body is None:
        body = b"".join(chunks(derived, plain, context, salt))
    commitment = derive(derived, context, salt)[2] if commitment is None else commitment
    tail = salt + commitment + body
    head = magic + bytes([version, suite, flags]) + h.to_bytes(2, "big") + rest
    # the tag goes where H says it is
    data = head + bytes(32) + tail
    if 42 <= h <= len(data):
        tag = header_tag(derived, data[: h - 32], data[h : h + 56])
        data = data[: h - 32] + tag + data[h:]
    return data

def software_wrap(plain, aad, kek=KEK):
    digest = hashlib.sha256(aad).digest()
    out = expand("sha256", kek, b"bulla/1 software-kek\0" + SALT + digest, 64)
    return SALT + out[32:] + AESGCM(out[:32]).encrypt(bytes(12), plain, None)

AAD = b"bulla/1 data-key\0" + pairs({b"tenant": b"acme"})
DIRECT_AAD = b"bulla/1 direct\0" + pairs(ALL)
WRAPPED = software_wrap(DATA_KEY, AAD)

def direct(wrapped=None, stored=None, name=b"default", magic=b"bulld", version=1, behind=b""):
    wrapped = software_wrap(b"hello", DIRECT_AAD) if wrapped is None else wrapped
    stored = pairs({b"tenant": b"acme"}) if stored is None else stored
    return (magic + bytes([version]) + stored + lenp(1, b"local") + lenp(2, name)
            + lenp(4, wrapped) + behind)

def text(data):
    return b"bulla1." + base64.urlsafe_b64encode(data).rstrip(b"=")

# --- checks, through the command line

def call(data, args):
    script = Path(__file__).with_name("open.py")
    return subprocess.run([sys.executable, script, *args], input=data, capture_output=True)

def opens(name, data, args=KEYED, plain=b"hello"):
    p = call(data, args)
    check(name, (p.returncode, p.stdout, p.stderr) == (0, plain, b""), p.stderr)

def refuses(name, why, data, args=KEYED):
    """The reason counts too: a case that fails elsewhere tests nothing."""
    p = call(data, args)
    one_line = p.stderr.count(b"\n") == 1 and p.stderr.endswith(b"\n")
    check(name, p.returncode == 3 and not p.stdout and one_line and why in p.stderr.decode(), p.stderr)

def kek_args(key=KEK, name="local:default"):
    return ("--kek", f"{name}={key.hex()}", *ARGS)

def worked_example():
    x = "7e0dd0c1f2ccc752757b1e67511d77e96e38e359ece71fa48da3cb3e0d902eeb"
    key = "9ef32c54391a2c039bdfc5bcf0bb3eff9f95538c77cff8d15f87a2d3f4c7472f"
    commitment = "57a24e954f477e4c6b9998be7ff707d7e53c032c58120d4e412e695eae606cf2"
    message = bytes.fromhex(
        "62756c6c61 01 01 00 0088 01 0006 74656e616e74 0004 61636d65 01 00 05 6c6f63616c"
        "0007 64656661756c74 003c" + "aa" * 60
        + "ceee0dad85cba0ea47e0935e52134ef9e6a622809c86d02c305c474297a8543b"
        "808182838485868788898a8b8c8d8e8f9091929394959697" + commitment
        + "c6a168a6a325560db862e8facace67a5b865f1849d")
    sums = {1: "0c984461b3d2e64d39f07ca2536e526af7a0210c2479bc6297175c71b95c9920",
            2: "8e58676d4f96ebf045ef0233f27c1446a95522aab17d05b9b533105276cdb416"}
    check("X", context_x(1, ALL).hex() == x)
    check("X of suite 2", len(context_x(2, ALL)) == 73)
    derived = [s.hex() for s in derive(1, ALL)]
    check("derivation", derived == [key, "00" * 12, commitment])
    check("message", seal() == message and len(message) == 213)
    for suite in (1, 2):
        check(f"sum {suite}", hashlib.sha256(seal(suite)).hexdigest() == sums[suite])
        opens(f"worked example {suite}", seal(suite), (*KEYED, "--cobblestone"))
    opens("in text form", text(message))

    table = {1: ["c0983dc1124df106250bd9aaf5e9172b97dfc858fb", "0ae37ffdfa1841b562222e541eae560156ba337d9c",
                 "d3774caebf59c4f617bd224832f90aa215edb0507b"],
             2: ["e3553e0e7bc6eca4a59e8acc374e1c1b226b558001", "9b651f51c57e44ddefb101102893f06eda0e9d82da",
                 "c339854fa6a99560919148ef853df27e3182356b93"]}
    for suite, row in table.items():
        for i, want in zip((2**32 - 1, 2**32, 2**32 + 1), row):
            check(f"chunk {i} of suite {suite}", seal_chunk(suite, ALL, i, b"hello").hex() == want)
            key, base, _ = derive(suite, ALL)
            got = opener.gcm_open(key, opener.chunk_nonce(base, i), bytes.fromhex(want))
            check(f"opening chunk {i} of suite {suite}", got == b"hello")

    wrap = bytes.fromhex(
        "808182838485868788898a8b8c8d8e8f9091929394959697"
        "f11558a843565d8ffa7ebd3b6298630bd1e0216f0cff0ba476d1953f6277ca72"
        "5593eb13a6649c548b98c3935bca428d8fdf66a3e9b2330ee137b58436ba6cbfdb991cfad52076def3f4001fc905fad1")
    check("software wrap", WRAPPED == wrap)
    check("software unwrap", opener.software_unwrap(KEK, wrap, AAD) == DATA_KEY)

def good_messages():
    for suite in (1, 2):
        for n in (0, 1, CHUNK[suite] - 1, CHUNK[suite], CHUNK[suite] + 1, 3 * CHUNK[suite]):
            plain = bytes(i * 7 % 251 for i in range(n))
            opens(f"suite {suite}, {n} bytes", seal(suite, plain), (*KEYED, "--cobblestone"), plain)
    e = Cobblestone256Encryptor(DATA_KEY, context_x(2, ALL))
    plain = bytes(40000)
    out = e.update(plain) + e.finalize()
    foreign = seal(2, salt=out[:24], commitment=out[24:56], body=out[56:])
    opens("body by cryptography's Cobblestone-256", foreign, plain=plain)

    padded = seal(padding=bytes(1024 - 136))
    check("padded to 1024", padded[8:10] == b"\4\0")
    opens("padded", padded)
    opens("longest header", seal(padding=bytes(65535 - 136)))
    opens("flag bit 0", seal(flags=1))
    opens("eight recipients", seal(records=[record(b"k%d" % i) for i in range(8)]))
    opens("same id in two schemes", seal(records=[record(), record(scheme=b"awskms")]))
    opens("no context", seal(context={}, stored=b"\0"), KEYED[:2])
    escaped = seal(records=[record(b"a/%C3%A9%20%40%25@3-_z")])
    opens("key name with escapes", escaped)
    p = call(escaped, ["--inspect"])
    found = json.loads(p.stdout)["recipients"][0]
    check("id and version", (found["id"], found["version"]) == ("a/é @%", "3-_z"))
    odd = {"é".encode(): b"", b"k": b"a=b"}
    opens("odd pairs", seal(context=odd, stored=pairs(odd)), (
        *KEYED[:2], "--context", "k=a=b", "--context", "é="))
    many = {b"%02d" % i: b"" for i in range(32)}
    opens("32 pairs", seal(context=many, stored=pairs(many)), (
        *KEYED[:2], *(a for k in many for a in ("--context", k.decode() + "="))))
    full = {b"k": b"v" * 4090}
    opens("4096 bytes of pairs", seal(context=full, stored=pairs(full)), (
        *KEYED[:2], "--context", "k=" + "v" * 4090))
    opens("key bulla2 is not reserved", seal(context={b"bulla2": b""}, stored=b"\0"), (
        *KEYED[:2], "--context", "bulla2="))

    opens("kek", seal(records=[record(wrapped=WRAPPED)]), kek_args())
    opens("kek with version", seal(records=[record(b"default@2", WRAPPED)]), kek_args(name="local:default@2"))
    opens("kek of the second recipient", seal(records=[record(), record(b"b", WRAPPED)]), kek_args(name="local:b"))
    opens("first recipient broken", seal(records=[record(), record(b"b", WRAPPED)]), (
        *kek_args(name="local:b"), "--kek", "local:default=" + KEK.hex()))
    opens("direct", direct(), ("--direct", *kek_args()))
    empty = direct(software_wrap(b"", DIRECT_AAD))
    opens("direct, empty", empty, ("--direct", *kek_args()), b"")

    p = call(padded, ["--inspect"])
    want = {"suite": 1, "flags": 0, "H": 1024, "context": {"tenant": "acme"}, "recipients": [
        {"algorithm": 0, "scheme": "local", "id": "default", "version": None, "wrapped": "aa" * 60}]}
    check("inspect", p.returncode == 0 and json.loads(p.stdout) == want, p.stderr)

def bad_headers():
    T, A = b"tenant", b"acme"
    for name, why, stored in [
        ("unsorted pairs", "order", raw_pairs([(T, A), (b"row", b"7")])),
        ("duplicate pair", "order", raw_pairs([(T, A), (T, A)])),
        ("empty key", "length", raw_pairs([(b"", A)])),
        ("key not UTF-8", "UTF-8", raw_pairs([(b"\xff", A)])),
        ("value not UTF-8", "UTF-8", raw_pairs([(T, b"\xed\xa0\x80")])),
        ("33 pairs", "too many", raw_pairs([(b"%02d" % i, b"") for i in range(33)])),
        ("4097 bytes of pairs", "too long", raw_pairs([(b"k", b"v" * 4091)])),
        ("reserved key", "reserved", raw_pairs([(b"bulla.zip", b"")])),
        ("reserved key bulla", "reserved", raw_pairs([(b"bulla", b"")])),
        ("stored differs", "context differs", raw_pairs([(T, b"other")])),
        ("stored not given", "context differs", raw_pairs([(b"x", b"")])),
        ("pair into the tag", "malformed", raw_pairs([(T, A)], count=2)),
    ]:
        refuses(name, why, seal(stored=stored))
        if name != "pair into the tag":
            refuses(name + ", direct", why, direct(stored=stored), ("--direct", *kek_args()))
    for name, why, fields in [
        ("magic", "not a sealed", {"magic": b"bullA"}),
        ("direct as sealed", "not a sealed", {"magic": b"bulld"}),
        ("version 0", "unknown version", {"version": 0}),
        ("version 2", "unknown version", {"version": 2}),
        ("suite 0", "unknown suite", {"suite": 0}),
        ("suite 3", "unknown suite", {"suite": 3}),
        ("flag bit 1", "unknown flag", {"flags": 2}),
        ("flag bit 7", "unknown flag", {"flags": 0x81}),
        ("no recipient", "number of", {"records": []}),
        ("nine recipients", "number of", {"records": [record(b"%d" % i) for i in range(9)]}),
        ("record into the tag", "malformed", {"r": 2}),
        ("nonzero padding", "padding", {"padding": bytes(50) + b"\1"}),
        ("nonzero first padding", "padding", {"padding": b"\1" + bytes(50)}),
        ("a record too many", "padding", {"records": [record(), record(b"b")], "r": 1}),
        ("H one short", "cut short", {"h": 135}),
        ("H least", "cut short", {"h": 42}),
        ("H too small", "length of the header", {"h": 41}),
        ("H 0", "length of the header", {"h": 0}),
        ("H behind the end", "length of the header", {"h": 65535}),
        ("wrong commitment", "not authentic", {"commitment": bytes(32)}),
    ]:
        refuses(name, why, seal(**fields))
    for name, why, records in [
        ("duplicate recipient", "twice", [record(), record()]),
        ("duplicate in two versions", "twice", [record(b"k@1"), record(b"k@2")]),
        ("duplicate with and without version", "twice", [record(b"k"), record(b"k@2")]),
        ("algorithm 4", "algorithm", [record(algorithm=4)]),
        ("scheme empty", "length", [record(scheme=b"")]),
        ("scheme of 33", "length", [record(scheme=b"a" * 33)]),
        ("scheme upper case", "scheme", [record(scheme=b"Local")]),
        ("scheme with newline", "scheme", [record(scheme=b"local\n")]),
        ("name empty", "length", [record(b"")]),
        ("name of 1025", "length", [record(b"a" * 1025)]),
        ("wrapped empty", "length", [record(wrapped=b"")]),
        ("wrapped of 4097", "length", [record(wrapped=bytes(4097))]),
    ]:
        refuses(name, why, seal(records=records))
    for name in [b"a b", b"a\n", b"a\x7f", b"\xc3\xa9", b"%41", b"a%2f", b"%c3%a9", b"%C3", b"%", b"a%4",
                 b"@1", b"a@", b"a@1@2", b"a@v.1", b"a@" + b"1" * 65, b"a@1\n"]:
        refuses(f"name {name}", "malformed", seal(records=[record(name)]))
        refuses(f"name {name}, direct", "malformed", direct(name=name), ("--direct", *kek_args()))

def bad_bodies():
    for suite in (1, 2):
        c = CHUNK[suite]
        three = chunks(suite, b"".join(bytes([i]) * c for i in range(3))[:-1])
        other = chunks(suite, b"".join(bytes([i]) * c for i in range(3))[:-1], salt=bytes(24))
        full = seal_chunk(suite, ALL, 0, bytes(c))
        for name, body in [
            ("no last chunk", three[:2]), ("no chunk", []), ("first dropped", three[1:]),
            ("middle dropped", [three[0], three[2]]), ("reordered", [three[1], three[0], three[2]]),
            ("chunk twice", [three[0], three[0], three[2]]), ("last twice", three + [three[2]]),
            ("spliced", [three[0], other[1], three[2]]), ("ends full", [full]),
            ("byte behind", three + [b"\0"]), ("byte behind a full chunk", three[:2] + [b"\0"]),
            ("15 bytes behind", three[:2] + [bytes(15)]), ("cut in the last tag", [three[0], three[1], three[2][:-1]]),
            ("two short chunks", [seal_chunk(suite, ALL, 0, b"he"), seal_chunk(suite, ALL, 1, b"llo")]),
        ]:
            refuses(f"{name}, suite {suite}", "not authentic", seal(suite, body=b"".join(body)))
        real = opener.SUITES[suite]
        opener.SUITES[suite] = (*real[:3], 2)  # as if two chunks were the most
        in_process(f"most chunks, suite {suite}", seal(suite, body=b"".join(three)), False)
        in_process(f"just the most, suite {suite}", seal(suite, bytes(c)), True)
        opener.SUITES[suite] = real

def in_process(name, data, want, cobblestone=False):
    try:
        opener.open_sealed(data, ALL, DATA_KEY, {}, cobblestone)
        check(name, want, "opened")
    except opener.Refused as e:
        check(name, not want, e)

def every_bit():
    for suite in (1, 2):
        message = seal(suite)
        for i in range(8 * len(message)):
            flipped = bytearray(message)
            flipped[i // 8] ^= 1 << i % 8
            in_process(f"suite {suite}, bit {i}", bytes(flipped), False)
        for n in range(len(message)):
            in_process(f"suite {suite}, first {n}", message[:n], False)
    real = opener.cobblestone_open
    opener.cobblestone_open = lambda *_: b"hellO"
    in_process("Cobblestone-256 differs", seal(2), False, True)
    opener.cobblestone_open = real

def bad_keys():
    good = seal(records=[record(wrapped=WRAPPED)])
    refuses("other data key", "not authentic", seal(), ("--data-key", "00" * 32, *ARGS))
    for n in (0, 31, 33):
        refuses(f"data key of {n}", "32 bytes", seal(), ("--data-key", "00" * n, *ARGS))
    refuses("pair missing", "not authentic", seal(), KEYED[:4])
    refuses("pair too many", "not authentic", seal(), (*KEYED, "--context", "x=y"))
    refuses("pair twice", "each K once", seal(), (*KEYED, "--context", "row=7"))
    refuses("caller's reserved pair", "reserved", seal(), (*KEYED, "--context", "bulla.x=y"))
    many = {b"%02d" % i: b"" for i in range(33)}
    refuses("33 pairs, not stored", "too many", seal(context=many, stored=b"\0"), (
        *KEYED[:2], *(a for k in many for a in ("--context", k.decode() + "="))))
    long = {b"k": b"v" * 4091}
    refuses("4097 bytes of pairs, not stored", "too long", seal(context=long, stored=b"\0"), (
        *KEYED[:2], "--context", "k=" + "v" * 4091))
    refuses("direct with a data key", "needs --kek", direct(), ("--direct", *KEYED))
    refuses("no key", "either", seal(), ARGS)
    refuses("other kek", "not authentic", good, kek_args(bytes(32)))
    for name in ("local:other", "awskms:default", "local:default@1"):
        refuses(f"kek for {name}", "no recipient", good, kek_args(name=name))
    refuses("kek for another algorithm", "no recipient", seal(records=[record(wrapped=WRAPPED, algorithm=2)]), kek_args())
    for name, wrapped in [
        ("wrapped for other pairs", software_wrap(DATA_KEY, b"bulla/1 data-key\0\0")),
        ("wrapped as direct", software_wrap(DATA_KEY, b"bulla/1 direct\0" + pairs({b"tenant": b"acme"}))),
        ("31 bytes wrapped", software_wrap(DATA_KEY[:31], AAD)),
        ("33 bytes wrapped", software_wrap(DATA_KEY + b"\0", AAD)),
        ("wrap commits to another kek", WRAPPED[:24] + bytes(32) + WRAPPED[56:]),
        ("wrap cut", WRAPPED[:71]),
    ]:
        refuses(name, "not authentic", seal(records=[record(wrapped=wrapped)]), kek_args())
    # the first data key decides: the second recipient, which is right, is not tried
    other = record(b"a", software_wrap(bytes(32), AAD))
    refuses("first data key is another", "not authentic", seal(records=[other, record(wrapped=WRAPPED)]),
            (*kek_args(), "--kek", "local:a=" + KEK.hex()))

    for name, why, data in [
        ("direct: data key", "not authentic", direct(software_wrap(b"hello", b"bulla/1 data-key\0" + pairs(ALL)))),
        ("direct: stored pairs only", "not authentic", direct(software_wrap(b"hello", b"bulla/1 direct\0" + AAD[17:]))),
        ("direct: version", "unknown version", direct(version=2)),
        ("direct: sealed", "not a direct", seal()),
        ("direct: empty", "length", direct(b"")),
        ("direct: too long", "length", direct(bytes(131073))),
        ("direct: behind", "behind", direct(behind=b"\0")),
        ("direct: cut", "cut short", direct()[:-1]),
        ("direct: other key", "no such key", direct(name=b"other")),
    ]:
        refuses(name, why, data, ("--direct", *kek_args()))
    refuses("direct as sealed with kek", "not a sealed", direct(), kek_args())

def bad_text():
    message = text(seal())  # 213 bytes: no bits left over
    odd = text(seal(plain=b"hello!"))  # 214 bytes: the last digit has four
    two = text(seal(plain=b"hello!!"))  # 215 bytes: two
    opens("text, 2 digits at the end", odd, plain=b"hello!")
    opens("text, 3 digits at the end", two, plain=b"hello!!")
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for t, step in ((odd, 16), (two, 4)):
        last = digits.index(t[-1])
        check("bits left over are zero", last % step == 0)
        refuses(f"text: bits left over, {step}", "base64url", t[:-1] + digits[last + 1 : last + 2])
    for name, data in [("=", odd + b"=="), ("one =", two + b"="), ("newline", message + b"\n"),
                       ("CRLF", message + b"\r\n"), ("space", message[:20] + b" " + message[20:]),
                       ("leading space", b"bulla1. " + message[7:]), ("standard alphabet", message[:20] + b"+" + message[21:]),
                       ("slash", message[:20] + b"/" + message[21:]), ("one digit at the end", message + b"A")]:
        refuses("text: " + name, "base64url", data)
    for prefix in (b"bulla2.", b"bulla1:", b"Bulla1.", b" bulla1.", b"bulla."):
        refuses(f"text: prefix {prefix}", "", prefix + message[7:])
    refuses("text: empty", "cut short", b"bulla1.")
    refuses("text: twice", "unknown version", text(message))
    refuses("nothing", "cut short", b"")

for part in (worked_example, good_messages, bad_headers, bad_bodies, every_bit, bad_keys, bad_text):
    part()
print(f"{counts['passed']} passed, {counts['failed']} failed")
sys.exit(1 if counts["failed"] else 0)
