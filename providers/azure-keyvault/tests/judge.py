"""Microsoft's client for Key Vault judges what answers and what the provider made.

It wraps and verifies on this machine, by the public half that the service told, with OpenSSL.
"""

import base64
import json
import sys
import time

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm, SignatureAlgorithm

proxy, ca, tenant, client, secret = sys.argv[1:6]
made = json.loads(sys.argv[6])
proxies = {"https": proxy}


class Credential:
    """As azure-identity asks, without its looks at the issuer's metadata."""

    def get_token(self, *scopes, **_):
        url = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
        form = {"client_id": client, "client_secret": secret,
                "grant_type": "client_credentials", "scope": " ".join(scopes)}
        answer = requests.post(url, data=form, proxies=proxies, verify=ca, timeout=30).json()
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])


def options():
    return {"transport": RequestsTransport(connection_verify=ca), "proxies": proxies,
            "retry_total": 0}


def crypto(key):
    return CryptographyClient(key, Credential(), **options())


vault = KeyClient("https://acme.vault.azure.net", Credential(), **options())
hsm = KeyClient("https://acme.managedhsm.azure.net", Credential(), **options())

# The service: what it tells of keys, what is refused, and how.
orders = vault.get_key("orders")
assert orders.key_type == "RSA" and orders.properties.enabled
assert sorted(orders.key_operations) == ["unwrapKey", "wrapKey"], orders.key_operations
versions = [item.version for item in vault.list_properties_of_key_versions("orders")]
assert sorted(versions) == sorted(made["versions"]), versions
assert versions and orders.properties.version == made["versions"][-1]
assert vault.get_deleted_key("deleted").name == "deleted"
for refused, kind, code in [
    (lambda: vault.get_key("none"), ResourceNotFoundError, 404),
    (lambda: vault.get_key("deleted"), ResourceNotFoundError, 404),
    (lambda: crypto(vault.get_key("disabled").id).unwrap_key(
        KeyWrapAlgorithm.rsa_oaep_256, bytes(256)), HttpResponseError, 403),
    (lambda: crypto(orders.id).unwrap_key(
        KeyWrapAlgorithm.rsa_oaep_256, bytes(256)), HttpResponseError, 400),
]:
    try:
        refused()
        raise AssertionError("not refused")
    except kind as error:
        assert error.status_code == code, error

# The provider's wraps, unwrapped by the client; the client's own, by the public half, for the provider.
unhex, out = bytes.fromhex, {"wraps": []}
for wrap in made["wraps"]:
    key = (hsm if wrap["alg"] == "A256KW" else vault).get_key(wrap["key"], wrap["version"])
    client_of = crypto(key)
    algorithm = KeyWrapAlgorithm(wrap["alg"])
    opened = client_of.unwrap_key(algorithm, unhex(wrap["blob"]))
    assert opened.key == unhex(wrap["plain"])
    if wrap["alg"] == "A256KW":
        continue  # This client would wrap on this machine, by a key that it does not have.
    sealed = client_of.wrap_key(algorithm, bytes(range(32)))
    out["wraps"].append({"key": wrap["key"], "alg": wrap["alg"], "version": wrap["version"],
                         "blob": sealed.encrypted_key.hex()})

# The provider's signatures, verified by the client, on this machine.
for sign in made["signatures"]:
    key = vault.get_key(sign["key"], sign["version"])
    verified = crypto(key).verify(
        SignatureAlgorithm(sign["alg"]), unhex(sign["digest"]), unhex(sign["signature"]))
    assert verified.is_valid, sign["alg"]
print(json.dumps(out))
