"""Opens bulla's sealed format, version 1, as FORMAT.md specifies it.

    open.py --data-key HEX [--context K=V]... < sealed > plaintext
    open.py --kek SCHEME:ID[@VERSION]=HEX [--context K=V]... < sealed > plaintext
    open.py --direct --kek SCHEME:ID[@VERSION]=HEX [--context K=V]... < direct > payload
    open.py --inspect [--direct] < sealed

ID is spelled as in the key name. Exit 0: done. Exit 3: refused, nothing on stdout.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# suite: (label, chunk length, most chunks)
SUITES = {
    1: (b"bulla/1 AES-256-GCM 64KiB\0", 65536, 1 << 36),
    2: (b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0", 16384, 1 << 38),
}
NOT_AUTHENTIC = "not authentic, or not for this key and context"


class Refused(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Refused(text)


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


# --- parsing


def utf8(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("malformed: not UTF-8") from None


def check_pair(key, value):
    need(key, "malformed: empty key")
    utf8(key), utf8(value)
    need(key != b"bulla" and not key.startswith(b"bulla."), "reserved key in the context")


def encode_pairs(pairs):
    """pairs(S) of a dict of bytes"""
    need(len(pairs) <= 32, "too many pairs")
    need(all(len(s) <= 4096 for pair in pairs.items() for s in pair), "context too long")
    out = bytes([len(pairs)])
    for key in sorted(pairs):
        for s in (key, pairs[key]):
            out += len(s).to_bytes(2, "big") + s
    need(len(out) <= 4096, "context too long")
    return out


def parse_pairs(r):
    pairs, last, start = {}, b"", r.at
    count = r.integer(1)
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
    need(m and len(name) <= 1024, "malformed: key name")
    key_id = re.sub(rb"%(..)", lambda e: bytes.fromhex(e[1].decode()), m[1])
    spelled = re.sub(rb"[^!-$&-?A-~]", lambda e: b"%%%02X" % e[0][0], key_id)
    need(spelled == m[1], "malformed: key name")
    return utf8(key_id), m[2] and m[2].decode()


def parse_scheme_and_name(r):
    scheme = r.field(1, 1, 32)
    need(re.fullmatch(rb"[a-z0-9-]+", scheme), "malformed: scheme")
    key_id, version = parse_name(r.field(2, 1, 1024))
    return {"scheme": scheme.decode(), "id": key_id, "version": version}


def parse_recipient(r):
    algorithm = r.integer(1)
    need(algorithm <= 3, "malformed: unknown algorithm")
    return {"algorithm": algorithm, **parse_scheme_and_name(r), "wrapped": r.field(2, 1, 4096)}


def parse_header(data):
    r = Reader(data)
    need(r.take(5) == b"bulla", "malformed: not a sealed message")
    need(r.integer(1) == 1, "unknown version")
    suite, flags, h = r.integer(1), r.integer(1), r.integer(2)
    need(suite in SUITES, "unknown suite")
    need(flags & ~1 == 0, "unknown flag")
    need(10 + 32 <= h <= len(data), "malformed: length of the header")
    r = Reader(data[: h - 32])  # so nothing runs into the tag
    r.take(10)
    stored = parse_pairs(r)
    count = r.integer(1)
    need(1 <= count <= 8, "malformed: number of recipients")
    recipients = [parse_recipient(r) for _ in range(count)]
    names = {(x["scheme"], x["id"]) for x in recipients}
    need(len(names) == count, "malformed: recipient twice")
    need(not any(r.rest()), "malformed: padding")
    return {"suite": suite, "flags": flags, "H": h, "context": stored, "recipients": recipients}


def parse_direct(data):
    r = Reader(data)
    need(r.take(5) == b"bulld", "malformed: not a direct message")
    need(r.integer(1) == 1, "unknown version")
    stored = parse_pairs(r)
    message = {"context": stored, **parse_scheme_and_name(r), "wrapped": r.field(4, 1, 131072)}
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


def expand(key, info, length):
    """HKDF-Expand with SHA-512"""
    need(len(key) == 32, NOT_AUTHENTIC)
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([i]), "sha512")
        out, i = out + block, i + 1
    return out[:length]


def split_key(material):
    return material[:32], material[32:44], material[44:]


def gcm_open(key, nonce, sealed, aad):
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Refused(NOT_AUTHENTIC) from None


def chunk_nonce(base, i):
    return (int.from_bytes(base, "big") ^ i).to_bytes(12, "big")


def context_x(suite, context):
    return b"bulla/1\0" + bytes([suite]) + hashlib.sha512(encode_pairs(context)).digest()


def software_unwrap(kek, wrapped, aad):
    need(len(wrapped) >= 72, NOT_AUTHENTIC)
    salt, commitment, sealed = wrapped[:24], wrapped[24:56], wrapped[56:]
    key, nonce, expected = split_key(expand(kek, b"bulla/1 software-kek\0" + salt, 76))
    need(hmac.compare_digest(commitment, expected), NOT_AUTHENTIC)
    return gcm_open(key, nonce, sealed, aad)


def check_stored(stored, context):
    need(stored.items() <= context.items(), "context differs from the stored one")


def unwrap_data_key(header, keks):
    """the data key of the first recipient that one of the keys unwraps"""
    aad = b"bulla/1 data-key\0" + encode_pairs(header["context"])
    found = False
    for r in header["recipients"]:
        kek = keks.get((r["scheme"], r["id"], r["version"]))
        if kek is None or r["algorithm"] != 0:
            continue
        found = True
        try:
            return software_unwrap(kek, r["wrapped"], aad)
        except Refused:
            pass
    raise Refused(NOT_AUTHENTIC if found else "no recipient with such a key")


def open_sealed(data, context, data_key=None, keks=None, cobblestone=False):
    header = parse_header(data)
    check_stored(header["context"], context)
    x = context_x(header["suite"], context)
    if data_key is None:
        data_key = unwrap_data_key(header, keks)
    h = header["H"]
    need(len(data) >= h + 56, "malformed: cut short")
    salt, commitment, body = data[h : h + 24], data[h + 24 : h + 56], data[h + 56 :]

    hk = expand(data_key, b"bulla/1 header\0" + salt, 32)
    tag = hmac.digest(hk, data[: h - 32] + salt + commitment, "sha512")[:32]
    need(hmac.compare_digest(tag, data[h - 32 : h]), NOT_AUTHENTIC)

    label, chunk, most = SUITES[header["suite"]]
    key, base, expected = split_key(expand(data_key, label + salt + x, 76))
    need(hmac.compare_digest(commitment, expected), NOT_AUTHENTIC)

    full, last = divmod(len(body), chunk + 16)
    need(last >= 16 and full < most, NOT_AUTHENTIC)
    plaintext = b"".join(
        gcm_open(key, chunk_nonce(base, i), body[i * (chunk + 16) : (i + 1) * (chunk + 16)], None)
        for i in range(full + 1)
    )
    if cobblestone and header["suite"] == 2:
        need(cobblestone_open(data_key, x, data[h:]) == plaintext, "Cobblestone-256 differs")
    return plaintext


def cobblestone_open(data_key, x, data):
    from cryptography.cobblestone import Cobblestone256Decryptor

    try:
        d = Cobblestone256Decryptor(data_key, x)
        return d.update(data) + d.finalize()
    except Exception:
        raise Refused("Cobblestone-256 refuses it") from None


def open_direct(data, context, keks):
    message = parse_direct(data)
    check_stored(message["context"], context)
    kek = keks.get((message["scheme"], message["id"], message["version"]))
    need(kek is not None, "no such key")
    aad = b"bulla/1 direct\0" + encode_pairs(context)
    return software_unwrap(kek, message["wrapped"], aad)


# --- command line


def parse_hex_key(text):
    need(re.fullmatch(r"[0-9a-fA-F]{64}", text), "a key must be 32 bytes in hex")
    return bytes.fromhex(text)


def parse_context(items):
    context = {}
    for item in items:
        key, equals, value = os.fsencode(item).partition(b"=")
        need(equals and key not in context, "--context: K=V, each K once")
        check_pair(key, value)
        context[key] = value
    encode_pairs(context)  # for its limits
    return context


def parse_keks(items):
    keks = {}
    for item in items:
        name, _, key = item.rpartition("=")
        scheme, _, name = name.partition(":")
        keks[(scheme, *parse_name(os.fsencode(name)))] = parse_hex_key(key)
    return keks


def to_json(value):
    if isinstance(value, dict):
        return {to_json(k) if isinstance(k, bytes) else k: to_json(
            v.hex() if k == "wrapped" else v) for k, v in value.items()}
    if isinstance(value, list):
        return [to_json(v) for v in value]
    return value.decode() if isinstance(value, bytes) else value


def run(args, data):
    context, keks = parse_context(args.context), parse_keks(args.kek)
    data = binary_form(data)
    if args.inspect:
        message = parse_direct(data) if args.direct else parse_header(data)
        return json.dumps(to_json(message), indent=2).encode() + b"\n"
    if args.direct:
        need(args.data_key is None and keks, "--direct needs --kek, and no --data-key")
        return open_direct(data, context, keks)
    need((args.data_key is None) != (not keks), "either --data-key or --kek")
    data_key = args.data_key and parse_hex_key(args.data_key)
    return open_sealed(data, context, data_key, keks, args.cobblestone)


def main():
    p = argparse.ArgumentParser(description="Open a sealed message of bulla's format.")
    p.add_argument("--data-key", metavar="HEX")
    p.add_argument("--kek", metavar="SCHEME:ID[@VERSION]=HEX", action="append", default=[])
    p.add_argument("--context", metavar="K=V", action="append", default=[])
    p.add_argument("--direct", action="store_true")
    p.add_argument("--inspect", action="store_true")
    p.add_argument("--cobblestone", action="store_true",
                   help="suite 2: compare with cryptography's own Cobblestone-256")
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
