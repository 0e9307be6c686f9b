#!/bin/sh
# Makes a ring of signing keys, serves its public half, and signs before and after a rotation.
# Usage: keyring.sh DIRECTORY PORT, with `bulla` (features oidc and serve) in the path.
set -eu
cd "$1"
issuer="http://localhost:$2"

# Waits of seconds, so that this ends today; leave the four out, and they are an hour or so.
bulla keyring init keyring.json \
    --max-age 2s --staleness 1s --skew 1s --token-life 5m

bulla serve --ring keyring.json --issuer "$issuer" --listen "127.0.0.1:$2" &
server=$!
trap 'kill $server' EXIT

sign() {
    bulla token sign --ring keyring.json --iss "$issuer" --sub ada --aud orders --ttl 5m
}

sign > before.jwt
bulla keyring rotate keyring.json --now   # publishes the next key
sleep 5                                   # every cached set has it by now
bulla keyring rotate keyring.json --now   # has it sign
sign > after.jwt

# Both verify, by discovery; the ring's old key goes when its last token has expired.
for token in before after; do
    bulla token verify $token.jwt --issuer "$issuer" --aud orders > $token.json
done
bulla keyring status keyring.json

# Whatever is given besides: a program that verifies both in another language.
shift 2
if [ $# -gt 0 ]; then
    "$@" "$issuer" before.jwt after.jwt
fi
