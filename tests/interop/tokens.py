#!/usr/bin/env python3
"""Verifies and signs JSON Web Tokens with PyJWT, jwcrypto and joserfc.

    tokens.py < jobs.json > results.json

A job is an object: `op` (`verify` or `sign`), `library`, `alg`, `jwk`, and `token` or `claims`. Its
result has `ok`; `claims` of a token that verified, or `token` and the library's own public `jwk` of
one that it signed; or why not, as `error`.
"""
import json
import sys

import joserfc.jwk
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt as pyjwt

ISSUER, AUDIENCE = "us", "them"


class PyJwt:
    @staticmethod
    def verify(token, alg, jwk):
        key = pyjwt.PyJWK(jwk, algorithm=alg)
        return pyjwt.decode(token, key, algorithms=[alg], issuer=ISSUER, audience=AUDIENCE)

    @staticmethod
    def sign(claims, alg, jwk):
        key = pyjwt.PyJWK(jwk, algorithm=alg)
        token = pyjwt.encode(claims, key.key, algorithm=alg, headers={"kid": jwk["kid"]})
        public = key.Algorithm.to_jwk(key.key.public_key(), as_dict=True)
        return token, public


class JwCrypto:
    @staticmethod
    def verify(token, alg, jwk):
        expected = {"iss": ISSUER, "aud": AUDIENCE, "exp": None}
        key = jwcrypto.jwk.JWK(**jwk)
        verified = jwcrypto.jwt.JWT(jwt=token, key=key, algs=[alg], check_claims=expected)
        return json.loads(verified.claims)

    @staticmethod
    def sign(claims, alg, jwk):
        key = jwcrypto.jwk.JWK(**jwk)
        header = {"alg": alg, "typ": "JWT", "kid": jwk["kid"]}
        token = jwcrypto.jwt.JWT(header=header, claims=claims, algs=[alg])
        token.make_signed_token(key)
        return token.serialize(), key.export_public(as_dict=True)


class JoseRfc:
    @staticmethod
    def verify(token, alg, jwk):
        verified = joserfc.jwt.decode(token, joserfc.jwk.import_key(jwk), algorithms=[alg])
        required = {"essential": True}
        joserfc.jwt.JWTClaimsRegistry(
            iss={**required, "value": ISSUER}, aud={**required, "value": AUDIENCE}, exp=required
        ).validate(verified.claims)
        return verified.claims

    @staticmethod
    def sign(claims, alg, jwk):
        key = joserfc.jwk.import_key(jwk)
        header = {"alg": alg, "kid": jwk["kid"]}
        return joserfc.jwt.encode(header, claims, key, algorithms=[alg]), key.as_dict(private=False)


LIBRARIES = {"PyJWT": PyJwt, "jwcrypto": JwCrypto, "joserfc": JoseRfc}


def run(job):
    library = LIBRARIES[job["library"]]
    try:
        if job["op"] == "verify":
            return {"ok": True, "claims": library.verify(job["token"], job["alg"], job["jwk"])}
        token, jwk = library.sign(job["claims"], job["alg"], job["jwk"])
        return {"ok": True, "token": token, "jwk": jwk}
    except Exception as error:  # whatever a library raises is its way to say no
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
