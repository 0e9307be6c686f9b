#!/bin/sh
# Makes two keys, signs a token with each and publishes the public keys: into the directory named.
set -eu
cd "$1"

bulla keys create id-rsa --type rsa-4096
bulla keys create id-ec --type p-256

for key in id-rsa id-ec; do
    bulla token sign --key "local:$key" --iss https://id.example --sub ada --aud orders \
        --ttl 5m --claim scope=read --claim 'roles:=["clerk"]' > "$key.jwt"
done

bulla jwks --key local:id-rsa --key local:id-ec > jwks.json

for key in id-rsa id-ec; do
    bulla token verify "$key.jwt" --jwks jwks.json --iss https://id.example --aud orders
done
