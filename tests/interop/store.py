#!/usr/bin/env python3
"""Prints the AES keys that a key of bulla's local store holds, one version a line, in the form that
open.py takes: SCHEME:ID@VERSION=HEX. Written from FORMAT.md, "The local key store".

    store.py STORE NAME [PASSPHRASE-FILE]
"""
import base64
import json
import pathlib
import sys

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from open import Refused, software_unwrap


def unprotect(version, key_type, passphrase):
    parameters = version["protection"]["argon2id"]
    m, t, p = (parameters[name] for name in "mtp")
    assert m <= 1 << 20 and t <= 16 and p <= 8
    salt = base64.b64decode(parameters["salt"], validate=True)
    derived = Argon2id(salt=salt, length=32, iterations=t, lanes=p, memory_cost=m)
    aad = b"bulla/1 local-key\0" + bytes.fromhex(version["id"])
    aad += version["version"].to_bytes(4, "big") + bytes([len(key_type)]) + key_type.encode()
    aad += b"".join(n.to_bytes(4, "big") for n in (m, t, p)) + salt
    material = base64.b64decode(version["material"], validate=True)
    return software_unwrap(derived.derive(passphrase), material, aad)


def main():
    root, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    passphrase = pathlib.Path(sys.argv[3]).read_bytes().strip() if sys.argv[3:] else None
    key_id = (root / "names" / name).read_text("ascii").strip()
    folder = root / "keys" / key_id
    key = json.loads((folder / "key.json").read_bytes())
    assert key["format"] == "bulla-key/1" and key["id"] == key_id and key["type"] == "aes-256"
    state = json.loads((folder / "state.json").read_bytes())
    assert state["format"] == "bulla-key-state/1" and state["id"] == key_id
    for listed in state["versions"]:
        if listed["state"] not in ("active", "deprecated"):
            continue
        number = listed["version"]
        version = json.loads((folder / f"v{number}.json").read_bytes())
        assert version["format"] == "bulla-key-version/1"
        assert (version["id"], version["version"]) == (key_id, number)
        if version["protection"] == "none":
            material = base64.b64decode(version["material"], validate=True)
        elif passphrase is None:
            continue
        else:
            material = unprotect(version, key["type"], passphrase)
        assert len(material) == 32
        print(f"local:{key_id}@{number}={material.hex()}")


try:
    main()
except Refused as refused:
    sys.exit(f"store.py: {refused}")
