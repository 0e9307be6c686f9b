"""Verifies tokens with the keys that their issuer publishes.

Usage: keyring.py ISSUER TOKEN-FILE..., with PyJWT (pip install 'PyJWT[crypto]').
"""

import json
import sys
import urllib.request

import jwt

issuer = sys.argv[1]
with urllib.request.urlopen(issuer + "/.well-known/openid-configuration") as answer:
    metadata = json.load(answer)
assert metadata["issuer"] == issuer
keys = jwt.PyJWKClient(metadata["jwks_uri"])
for path in sys.argv[2:]:
    with open(path) as file:
        token = file.read().strip()
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=[key.algorithm_name], audience="orders", issuer=issuer)
    print(path, jwt.get_unverified_header(token)["kid"], claims["sub"])
