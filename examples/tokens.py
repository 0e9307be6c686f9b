#!/usr/bin/env python3
"""Verifies a token with PyJWT: tokens.py JWKS TOKEN. Prints the subject."""
import json
import sys

import jwt

with open(sys.argv[1], encoding="utf-8") as file:
    keys = jwt.PyJWKSet.from_dict(json.load(file))
with open(sys.argv[2], encoding="utf-8") as file:
    token = file.read().strip()

key = keys[jwt.get_unverified_header(token)["kid"]]
claims = jwt.decode(
    token,
    key,
    algorithms=[key.algorithm_name],  # the key's, and never the token's
    issuer="https://id.example",
    audience="orders",
    options={"require": ["exp", "iss", "aud"]},
)
assert claims["scope"] == "read" and claims["roles"] == ["clerk"], claims
print(claims["sub"])
