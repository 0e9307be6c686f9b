#!/usr/bin/env python3
"""Prints the AES keys that a key of bulla's local store holds, one version a line, in the form that
open.py takes: SCHEME:ID@VERSION=HEX. Only versions without a passphrase.

    store.py STORE NAME
"""
import base64
import json
import pathlib
import sys


def main():
    root, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    key_id = (root / "names" / name).read_text("ascii").strip()
    folder = root / "keys" / key_id
    key = json.loads((folder / "key.json").read_bytes())
    assert key["format"] == "bulla-key/1" and key["id"] == key_id and key["type"] == "aes-256"
    state = json.loads((folder / "state.json").read_bytes())
    assert state["format"] == "bulla-key-state/1" and state["id"] == key_id
    for listed in state["versions"]:
        if listed["state"] not in ("active", "deprecated") or listed["protection"] != "none":
            continue
        number = listed["version"]
        version = json.loads((folder / f"v{number}.json").read_bytes())
        assert version["format"] == "bulla-key-version/1"
        assert (version["id"], version["version"]) == (key_id, number)
        material = base64.b64decode(version["material"], validate=True)
        assert len(material) == 32
        print(f"local:{key_id}@{number}={material.hex()}")


main()
