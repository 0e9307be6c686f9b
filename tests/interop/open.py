"""Opens bulla's sealed format, version 1, as FORMAT.md specifies it.

    open.py --data-key HEX [--context K=V]... < sealed > plaintext
    open.py --kek SCHEME:ID[@VERSION]=HEX [--context K=V]... < sealed > plaintext
    open.py --direct --kek SCHEME:ID[@VERSION]=HEX [--context K=V]... < direct > payload
    open.py --inspect [--direct] < sealed

ID is spelled as in the key name. Exit 0: done. Exit 3: refused, nothing on stdout.
"""
import argparse, base64, hashlib, hmac, json, os, re, sys

from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

SUITES = {  # hash, label, chunk length, most chunks
    1: ("sha256", b"bulla/1 AES-256-GCM 64KiB\0", 65536, 1 << 36),
    2: ("sha512", b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0", 16384, 1 << 38),
}
ZERO_NONCE = bytes(12)
NOT_AUTHENTIC = "not authentic, or not for this key and context"

class Refused(Exception):
    pass

def need(condition, text):
    if not condition:
        raise Refused(text)

# --- parsing

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(n <= len(self.data) - self.at, "malformed: cut short")
        self.at += n
        return self.data[self.at - n : self.at]

    def integer(self, size):
        return int.from_bytes(self.take(size), "big")

    def field(self, size, low, high):
        n = self.integer(size)
        need(low <= n <= high, "malformed: length of a field")
        return self.take(n)

    def rest(self):
        return self.take(len(self.data) - self.at)

def utf8(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("malformed: not UTF-8") from None

def check_pair(key, value):
    need(utf8(key), "malformed: empty key")
    utf8(value)
    need(key != b"bulla" and not key.startswith(b"bulla."), "reserved key in the context")

def encode_pairs(pairs):
    need(len(pairs) <= 32, "too many pairs")
    need(1 + sum(4 + len(k) + len(v) for k, v in pairs.items()) <= 4096, "context too long")
    fields = (s for pair in sorted(pairs.items()) for s in pair)
    return bytes([len(pairs)]) + b"".join(len(s).to_bytes(2, "big") + s for s in fields)

def parse_pairs(r):
    pairs, last, start, count = {}, b"", r.at, r.integer(1)
    need(count <= 32, "malformed: too many pairs")
    for _ in range(count):
        key, value = r.field(2, 1, 4096), r.field(2, 0, 4096)
        need(key > last, "malformed: order of pairs")
        check_pair(key, value)
        pairs[key] = value
        last = key
    need(r.at - start <= 4096, "malformed: context too long")
    return pairs

def parse_name(name):
    """(id, version or None) of a key name; only its one spelling is accepted"""
    m = re.fullmatch(rb"((?:[!-$&-?A-~]|%[0-9A-F]{2})+)(?:@([A-Za-z0-9_-]{1,64}))?", name)
    need(m, "malformed: key name")
    key_id = re.sub(rb"%(..)", lambda e: bytes.fromhex(e[1].decode()), m[1])
    spelled = re.sub(rb"[^!-$&-?A-~]", lambda e: b"%%%02X" % e[0][0], key_id)
    need(spelled == m[1], "malformed: key name")
    return utf8(key_id), m[2] and m[2].decode()

def parse_key(r):
    scheme = r.field(1, 1, 32)
    need(re.fullmatch(rb"[a-z0-9-]+", scheme), "malformed: scheme")
    key_id, version = parse_name(r.field(2, 1, 1024))
    return {"scheme": scheme.decode(), "id": key_id, "version": version}

def parse_recipient(r):
    algorithm = r.integer(1)
    need(algorithm <= 3, "malformed: unknown algorithm")
    return {"algorithm": algorithm, **parse_key(r), "wrapped": r.field(2, 1, 4096)}

def parse_header(data):
    r = Reader(data)
    need(r.take(5) == b"bulla", "malformed: not a sealed message")
    need(r.integer(1) == 1, "unknown version")
    suite, flags, h = r.integer(1), r.integer(1), r.integer(2)
    need(suite in SUITES, "unknown suite")
    need(flags & ~1 == 0, "unknown flag")
    need(r.at + 32 <= h <= len(data), "malformed: length of the header")
    r.data = data[: h - 32]  # so nothing runs into the tag
    stored, count = parse_pairs(r), r.integer(1)
    need(1 <= count <= 8, "malformed: number of recipients")
    recipients = [parse_recipient(r) for _ in range(count)]
    need(len({(x["scheme"], x["id"]) for x in recipients}) == count, "malformed: recipient twice")
    need(not any(r.rest()), "malformed: padding")
    return {"suite": suite, "flags": flags, "H": h, "context": stored, "recipients": recipients}

def parse_direct(data):
    r = Reader(data)
    need(r.take(5) == b"bulld", "malformed: not a direct message")
    need(r.integer(1) == 1, "unknown version")
    message = {"context": parse_pairs(r), **parse_key(r), "wrapped": r.field(4, 1, 131072)}
    need(not r.rest(), "malformed: something behind the message")
    return message

def binary_form(data):
    """the message, out of the text form if it is in that"""
    if not data.startswith(b"bulla1."):
        return data
    text = data[7:]
    need(re.fullmatch(rb"[A-Za-z0-9_-]*", text) and len(text) % 4 != 1, "malformed: base64url")
    message = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(message).rstrip(b"=") == text, "malformed: base64url")
    return message

# --- opening

def expand_256(key, info):
    """64 bytes of HKDF-Expand with SHA-256, as key, nonce, commitment"""
    out = HKDFExpand(SHA256(), 64, info).derive(key)
    return out[:32], ZERO_NONCE, out[32:]

def expand_512(key, info):
    """76 bytes of HKDF-Expand with SHA-512, as key, nonce, commitment"""
    out = HKDFExpand(SHA512(), 76, info).derive(key)
    return out[:32], out[32:44], out[44:]

def gcm_open(key, nonce, sealed):
    try:
        return AESGCM(key).decrypt(nonce, sealed, None)
    except InvalidTag:
        raise Refused(NOT_AUTHENTIC) from None

def chunk_nonce(base, i):
    return (int.from_bytes(base, "big") ^ i).to_bytes(12, "big")

def software_unwrap(kek, wrapped, aad):
    need(len(wrapped) >= 72, NOT_AUTHENTIC)
    salt, commitment, sealed = wrapped[:24], wrapped[24:56], wrapped[56:]
    digest = hashlib.sha256(aad).digest()
    key, nonce, expected = expand_256(kek, b"bulla/1 software-kek\0" + salt + digest)
    need(hmac.compare_digest(commitment, expected), NOT_AUTHENTIC)
    return gcm_open(key, nonce, sealed)

def check_stored(stored, context):
    need(stored.items() <= context.items(), "context differs from the stored one")

def unwrap_data_key(header, keks):
    """the data key of the first recipient that one of the keys unwraps"""
    error = "no recipient with such a key"
    for r in header["recipients"]:
        kek = keks.get((r["scheme"], r["id"], r["version"]))
        if kek and r["algorithm"] == 0:
            try:
                aad = b"bulla/1 data-key\0" + encode_pairs(header["context"])
                return software_unwrap(kek, r["wrapped"], aad)
            except Refused as e:
                error = str(e)
    raise Refused(error)

def open_sealed(data, context, data_key, keks, cobblestone):
    header = parse_header(data)
    check_stored(header["context"], context)
    h, (hash_name, label, chunk, most) = header["H"], SUITES[header["suite"]]
    need(len(data) >= h + 56, "malformed: cut short")
    if data_key is None:
        data_key = unwrap_data_key(header, keks)
    need(len(data_key) == 32, NOT_AUTHENTIC)
    salt, commitment, body = data[h : h + 24], data[h + 24 : h + 56], data[h + 56 :]

    tagged = b"bulla/1 header\0" + data[: h - 32] + salt + commitment + b"\1"
    tag = hmac.digest(data_key, tagged, hash_name)[:32]
    need(hmac.compare_digest(tag, data[h - 32 : h]), NOT_AUTHENTIC)

    x = hashlib.new(hash_name, encode_pairs(context)).digest()
    if header["suite"] == 2:
        x = b"bulla/1\0\2" + x
    expand = {1: expand_256, 2: expand_512}[header["suite"]]
    key, base, expected = expand(data_key, label + salt + x)
    need(hmac.compare_digest(commitment, expected), NOT_AUTHENTIC)

    size = chunk + 16
    full, last = divmod(len(body), size)
    need(last >= 16 and full < most, NOT_AUTHENTIC)
    chunks = (body[i * size : (i + 1) * size] for i in range(full + 1))
    plain = b"".join(gcm_open(key, chunk_nonce(base, i), c) for i, c in enumerate(chunks))
    if cobblestone and header["suite"] == 2:
        need(cobblestone_open(data_key, x, data[h:]) == plain, "Cobblestone-256 differs")
    return plain

def cobblestone_open(data_key, x, data):
    try:
        d = Cobblestone256Decryptor(data_key, x)
        return d.update(data) + d.finalize()
    except Exception:
        raise Refused("Cobblestone-256 refuses it") from None

def open_direct(data, context, keks):
    message = parse_direct(data)
    check_stored(message["context"], context)
    kek = keks.get((message["scheme"], message["id"], message["version"]))
    need(kek, "no such key")
    return software_unwrap(kek, message["wrapped"], b"bulla/1 direct\0" + encode_pairs(context))

# --- command line

def hex_key(text):
    need(re.fullmatch(r"[0-9a-fA-F]{64}", text), "a key must be 32 bytes in hex")
    return bytes.fromhex(text)

def parse_arguments(args):
    context, keks = {}, {}
    for item in args.context:
        key, equals, value = os.fsencode(item).partition(b"=")
        need(equals and key not in context, "--context: K=V, each K once")
        check_pair(key, value)
        context[key] = value
    encode_pairs(context)  # for its limits
    for item in args.kek:
        name, _, key = item.rpartition("=")
        scheme, _, name = name.partition(":")
        keks[(scheme, *parse_name(os.fsencode(name)))] = hex_key(key)
    data_key = None if args.data_key is None else hex_key(args.data_key)
    need(args.inspect or (data_key is None) != (not keks), "either --data-key or --kek")
    need(not args.direct or data_key is None, "--direct needs --kek")
    return context, data_key, keks

def describe(message):
    """JSON of a header; the wrapped keys in hex"""
    message["context"] = {k.decode(): v.decode() for k, v in message["context"].items()}
    for r in message.get("recipients", [message]):
        r["wrapped"] = r["wrapped"].hex()
    return json.dumps(message, indent=2).encode() + b"\n"

def run(args, data):
    context, data_key, keks = parse_arguments(args)
    data = binary_form(data)
    if args.inspect:
        return describe(parse_direct(data) if args.direct else parse_header(data))
    if args.direct:
        return open_direct(data, context, keks)
    return open_sealed(data, context, data_key, keks, args.cobblestone)

def main():
    p = argparse.ArgumentParser(description="Open a sealed message of bulla's format.")
    p.add_argument("--data-key", metavar="HEX")
    p.add_argument("--kek", metavar="SCHEME:ID[@VERSION]=HEX", action="append", default=[])
    p.add_argument("--context", metavar="K=V", action="append", default=[])
    p.add_argument("--direct", action="store_true", help="the input is a direct message")
    p.add_argument("--inspect", action="store_true", help="print the header as JSON; unauthenticated")
    p.add_argument("--cobblestone", action="store_true", help="suite 2: compare with Cobblestone-256")
    args = p.parse_args()
    try:
        out = run(args, sys.stdin.buffer.read())
    except Refused as e:
        print(f"open.py: {e}", file=sys.stderr)
        return 3
    sys.stdout.buffer.write(out)
    return 0

if __name__ == "__main__":
    sys.exit(main())
