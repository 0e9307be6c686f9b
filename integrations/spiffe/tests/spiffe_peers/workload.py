"""The Python client of the Workload API: everything once, as one line of JSON.

workload.py fetch AUDIENCE...    SVIDs and bundles, each held against the other
workload.py watch UPDATES        a line for each update of the X.509 context, until there were so many
"""
import json
import os
import sys
import threading

from spiffe import JwtSvid, WorkloadApiClient

TIMEOUT = 20


def fetch(client, audience):
    context = client.fetch_x509_context(timeout=TIMEOUT)
    svids = []
    for svid in context.x509_svids:
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        svids.append({
            "id": str(svid.spiffe_id),
            "serial": f"{svid.leaf.serial_number:x}",
            "chain": len(svid.cert_chain),
            "authorities": len(bundle.x509_authorities),
            "issued_by_bundle": any(issued(svid.cert_chain[-1], ca) for ca in bundle.x509_authorities),
            "key_fits": svid.private_key.public_key() == svid.leaf.public_key(),
        })
    bundles = client.fetch_jwt_bundles(timeout=TIMEOUT)
    token = client.fetch_jwt_svid(audience=set(audience), timeout=TIMEOUT)
    bundle = bundles.get_bundle_for_trust_domain(token.spiffe_id.trust_domain)
    checked = JwtSvid.parse_and_validate(token.token, bundle, {audience[0]})
    by_server = client.validate_jwt_svid(token.token, audience[0], timeout=TIMEOUT)
    return {
        "x509": svids,
        "jwt": {
            "id": str(token.spiffe_id),
            "token": token.token,
            "audience": sorted(token.audience),
            "validated": str(checked.spiffe_id),
            "validated_by_server": str(by_server.spiffe_id),
            "refused": [refused(client, bundle, token.token, audience[0], *how) for how in TAMPERED],
        },
        "jwt_bundles": {str(token.spiffe_id.trust_domain): sorted(bundle.jwt_authorities)},
    }


TAMPERED = [("signature", None), ("audience", "somebody-else")]


def refused(client, bundle, token, audience, what, other):
    """What the client and the server say of a token that is not as it was issued."""
    if what == "signature":
        head, signature = token.rsplit(".", 1)
        token = head + "." + ("B" if signature[0] == "A" else "A") + signature[1:]
    said = []
    for validate in (
        lambda: JwtSvid.parse_and_validate(token, bundle, {other or audience}),
        lambda: client.validate_jwt_svid(token, other or audience, timeout=TIMEOUT),
    ):
        try:
            validate()
            said.append(None)
        except Exception as error:  # Whatever it raises, it has refused.
            said.append(type(error).__name__)
    return {"what": what, "by_client": said[0], "by_server": said[1]}


def issued(certificate, authority):
    try:
        certificate.verify_directly_issued_by(authority)
        return True
    except Exception:
        return False


def watch(client, updates):
    done = threading.Event()
    left = [updates]

    def update(context):
        if left[0] > 0:
            print(json.dumps([f"{svid.leaf.serial_number:x}" for svid in context.x509_svids]), flush=True)
            left[0] -= 1
        if left[0] == 0:
            done.set()

    def failed(error):
        print(error, file=sys.stderr)
        done.set()

    watching = client.stream_x509_contexts(update, failed)
    done.wait(TIMEOUT)
    watching.cancel()
    sys.exit(0 if left[0] == 0 else 1)


def main():
    with WorkloadApiClient(os.environ["SPIFFE_ENDPOINT_SOCKET"]) as client:
        if sys.argv[1] == "fetch":
            print(json.dumps(fetch(client, sys.argv[2:])))
        else:
            watch(client, int(sys.argv[2]))


main()
