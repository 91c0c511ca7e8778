"""Writes format-2.json to the standard output.

It knows the documentation of `vault::envelope` and nothing else of the crate. It needs the package `cryptography`
(`pip install cryptography`). Keys, ids and nonces are hashes of names, so that every run writes the same bytes:

    python3 tests/vectors/format_2.py | diff - tests/vectors/format-2.json
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ROW_KEY = 2**32 - 1
AUDIT_KEYS = 2**31
HOUR = 3_600_000
NOW = 1_700_000_000_000


def made(name, length):
    return hashlib.shake_256(name.encode()).digest(length)


# --- numbers, fields and encodings ---


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def i64(number):
    return number.to_bytes(8, "big", signed=True)


def text(value):
    return value.encode("utf-8")


def flag(value):
    return b"\x01" if value else b"\x00"


def opt(write, value):
    """An optional value: nothing, or 1 and the value."""
    return b"" if value is None else b"\x01" + write(value)


def raw(value):
    return value


def join(fields):
    """Each field as u32 length and bytes."""
    return b"".join(u32(len(field)) + field for field in fields)


def scopes(names):
    return text(" ".join(sorted(names, key=text)))


def pairs(values, write):
    """The fields of a list of pairs: the count, then both halves of each pair, in the order of the names."""
    fields = [u32(len(values))]
    for name in sorted(values, key=text):
        fields += [text(name), write(values[name])]
    return fields


def account(value):
    value = value or {"id": None, "email": None, "label": None}
    return [opt(text, value["id"]), opt(text, value["email"]), opt(text, value["label"])]


# --- keys, seals and MACs ---


def derive(secret, info, length=32):
    return HKDF(algorithm=SHA256(), length=length, salt=b"valetkey/1", info=info).derive(secret)


def mac(key, parts):
    return hmac.new(key, join([b"valetkey/1", *parts]), hashlib.sha256).digest()


def seal(place, fields, nonce):
    header = b"\x02" + u32(place["version"])
    owner = place["owner"]
    aad = join(
        [
            b"valetkey/2",
            text(place["kind"]),
            place["vault"],
            text(place["tenant"]),
            b"\x00" if owner is None else b"\x01" + text(owner),
            text(place["provider"]),
            place["id"],
            u64(place["generation"]),
            header,
            place["route"],
        ]
    )
    return header + nonce + AESGCM(place["data_key"]).encrypt(nonce, join(fields), aad)


def seal_audit(key, version, vault, tenant, number, fields, nonce):
    header = b"\x01" + u32(version)
    aad = join([b"valetkey/1", b"audit", vault, text(tenant), u64(number), header])
    return header + nonce + AESGCM(key).encrypt(nonce, join(fields), aad)


def seal_entry(key, version, vault, tenant, entry, fields, nonce):
    header = b"\x01" + u32(version)
    aad = join([b"valetkey/1", b"audit_entry", vault, text(tenant), entry, header])
    return b"\x03" + entry + header + nonce + AESGCM(key).encrypt(nonce, join(fields), aad)


def wrap_audit_key(master, vault, secret, nonce):
    header = b"\x01" + derive(master, b"id", 16)
    aad = join([b"valetkey/1", b"audit_key", vault, header])
    return header + nonce + AESGCM(derive(master, b"kek")).encrypt(nonce, secret, aad)


# --- sealed records ---


def records():
    cases = [
        ("access token", "access_token", "acme", "alice", "gmail", 1, 1, made("route", 40), [b"access"]),
        ("rest", "rest", "acme", "alice", "gmail", 1, 2, made("route", 40), [b"refresh", b"id"]),
        ("no id token", "rest", "acme", None, "gmail", 2, 3, made("another route", 40), [b"refresh", b""]),
        ("verifier", "consent", "acme", "alice", "github", 7, 0, b"r", [made("verifier", 32).hex().encode()]),
        ("no verifier", "consent", "acme", "alice", "github", 7, 0, b"r", [b""]),
        ("late access token", "revocation_access", "acme", "alice", "x", 1, 4, made("late", 99), [b"access"]),
        ("late refresh token", "revocation_rest", "acme", "alice", "x", 1, 4, made("late", 99), [b"refresh"]),
        ("workspace", "access_token", "acme", None, "slack", 1, 1, made("route", 40), [b"access"]),
        ("other letters", "rest", "Ärger & Söhne / 東京", "zoë@example.test", "a-b_c.d", 1, 1, "ü".encode(), [b"\xff"]),
        ("highest numbers", "access_token", "t" * 255, "u" * 255, "p" * 64, 2**31 - 1, 2**64 - 1, b"\x00", [b"x"]),
        ("no route", "access_token", "acme", "alice", "gmail", 1, 1, b"", [b"access"]),
        ("long route", "access_token", "acme", "alice", "gmail", 1, 1, made("long", 2000), [b"access"]),
        ("no fields", "rest", "acme", "alice", "gmail", 1, 1, b"route", []),
        ("sixteen fields", "rest", "acme", "alice", "gmail", 1, 1, b"route", [bytes([n]) * n for n in range(16)]),
    ]
    for name, kind, tenant, owner, provider, version, generation, route, fields in cases:
        place = {
            "data_key": made("data key of " + name, 32),
            "version": version,
            "kind": kind,
            "vault": made("vault of " + name, 16),
            "tenant": tenant,
            "owner": owner,
            "provider": provider,
            "id": made("id of " + name, 16),
            "generation": generation,
            "route": route,
        }
        nonce = made("nonce of " + name, 12)
        record = seal(place, fields, nonce)
        yield {"name": name, **place, "nonce": nonce, "fields": fields, "record": record}


# --- the audit ---


def audit_bodies():
    cases = [
        ("no text", "acme", AUDIT_KEYS, 1, [b""] * 10),
        ("some text", "Ärger & Söhne / 東京", ROW_KEY - 1, 2**63, [b"alice", made("c", 16), b"gmail", u64(3)]),
    ]
    for name, tenant, version, number, fields in cases:
        key, vault = made("audit data key of " + name, 32), made("vault of " + name, 16)
        nonce = made("nonce of " + name, 12)
        body = seal_audit(key, version, vault, tenant, number, fields, nonce)
        yield {
            "name": name,
            "data_key": key,
            "version": version,
            "vault": vault,
            "tenant": tenant,
            "number": number,
            "nonce": nonce,
            "fields": fields,
            "body": body,
        }


def audit_entries():
    for name, tenant, version, fields in [
        ("an entry without text", "acme", AUDIT_KEYS, [b""] * 10),
        ("an entry with text", "Ärger & Söhne / 東京", ROW_KEY - 1, [b"alice", made("c", 16), b"gmail", u64(3)]),
    ]:
        key, vault = made("audit data key of " + name, 32), made("vault of " + name, 16)
        entry, nonce = made("entry of " + name, 16), made("nonce of " + name, 12)
        yield {
            "name": name,
            "data_key": key,
            "version": version,
            "vault": vault,
            "tenant": tenant,
            "entry": entry,
            "nonce": nonce,
            "fields": fields,
            "body": seal_entry(key, version, vault, tenant, entry, fields, nonce),
        }


def audit():
    master, vault, secret = made("master key", 32), made("audited vault", 16), made("audit key", 32)
    chain_key, fingerprint_key = derive(secret, b"audit"), derive(secret, b"fingerprint")
    sign = lambda *parts: mac(chain_key, parts)
    nonce = made("nonce of the audit key", 12)

    links = []
    before = bytes(32)
    for number, at, tenant, kind, body in [
        (1, NOW, 1, "consent_completed", made("first body", 60)),
        (2, -1, None, "opened", b""),
        (2**63 - 1, 2**53, 2**31, "refreshed", made("last body", 300)),
    ]:
        link = sign(b"link", vault, u64(number), before, i64(at), b"" if tenant is None else i64(tenant), text(kind), body)
        links.append(
            {"number": number, "before": before, "at": at, "tenant": tenant, "kind": kind, "body": body, "mac": link}
        )
        before = link

    heads = []
    for chain, number, last, broken in [
        (0, 0, bytes(32), None),
        (0, 1, links[0]["mac"], None),
        (1, 1, links[0]["mac"], None),
        (2**31, 2**63 - 1, links[2]["mac"], 7),
        (None, 2, links[1]["mac"], None),
        (None, 2, links[1]["mac"], 1),
    ]:
        broken_field = b"" if broken is None else u64(broken)
        if chain is None:
            seal = sign(b"head", vault, u64(number), last, broken_field)
        else:
            seal = sign(b"chain head", vault, i64(chain), u64(number), last, broken_field)
        heads.append({"chain": chain, "number": number, "mac": last, "broken": broken, "seal": seal})

    gaps, checkpoints = [], []
    for chain, first, last in [(1, 1, 1), (0, 3, 9), (-1, 2, 2**63 - 1)]:
        edges = made(f"before {chain}", 32), made(f"last {chain}", 32)
        seal = sign(b"gap", vault, i64(chain), u64(first), u64(last), *edges)
        gaps.append({"chain": chain, "first": first, "last": last, "before": edges[0], "mac": edges[1], "seal": seal})
        seal = sign(b"checkpoint", vault, i64(chain), u64(last), edges[1])
        checkpoints.append({"chain": chain, "number": last, "mac": edges[1], "seal": seal})

    pending = []
    for tenant, at, kind, body in [
        (1, NOW, "consent_completed", made("first pending body", 60)),
        (2**31, -1, "refreshed", b""),
    ]:
        entry_mac = sign(b"pending", vault, i64(tenant), i64(at), text(kind), body)
        pending.append({"tenant": tenant, "at": at, "kind": kind, "body": body, "mac": entry_mac})

    parts = [b"acme", made("connection", 16), u64(1), b"access-token"]
    return {
        "master_key": master,
        "vault": vault,
        "secret": secret,
        "nonce": nonce,
        "wrapped": wrap_audit_key(master, vault, secret, nonce),
        "links": links,
        "heads": heads,
        "gaps": gaps,
        "checkpoints": checkpoints,
        "pending": pending,
        "fingerprints": [{"parts": parts, "fingerprint": mac(fingerprint_key, parts)[:8]}],
    }


# --- rows ---


def row_macs():
    for name, parts in [
        ("one part", [b"connection"]),
        ("an empty part", [b"connection", b""]),
        ("several parts", [b"connection", made("part", 16), b"", b"\x01"]),
    ]:
        key = made("row key of " + name, 32)
        yield {"name": name, "data_key": key, "parts": parts, "mac": mac(derive(key, b"rows"), parts)}


def connections():
    cases = [
        {
            "name": "every field",
            "owner": "alice",
            "provider": "gmail",
            "label": "Work",
            "is_default": True,
            "revoked": False,
            "account": {"id": "1234567890", "email": "alice@example.test", "label": "Alice Ä."},
            "requested": ["https://example.test/mail", "openid", "A"],
            "parameters": {"region": "eu", "instance": "eu1.example.test", "Zone": ""},
            "created_at": NOW,
        },
        {
            "name": "no optional field",
            "owner": None,
            "provider": "github",
            "label": None,
            "is_default": False,
            "revoked": True,
            "account": None,
            "requested": [],
            "parameters": {},
            "created_at": -1,
        },
        {
            "name": "an account without names",
            "owner": "bob",
            "provider": "slack",
            "label": "x",
            "is_default": True,
            "revoked": True,
            "account": {"id": "", "email": None, "label": None},
            "requested": ["chat:write"],
            "parameters": {"team": "T1"},
            "created_at": 0,
        },
    ]
    for case in cases:
        name = case["name"]
        key, id, grant = made("rows of " + name, 32), made("connection " + name, 16), made("grant of " + name, 16)
        details = join(
            [
                *account(case["account"]),
                scopes(case["requested"]),
                *pairs(case["parameters"], text),
                i64(case["created_at"]),
            ]
        )
        account_id = case["account"] and case["account"]["id"]
        signed = mac(
            derive(key, b"rows"),
            [
                b"connection",
                id,
                text(case["owner"] or ""),
                text(case["provider"]),
                flag(case["label"] is not None),
                text(case["label"] or ""),
                flag(case["is_default"]) + flag(case["revoked"]),
                grant,
                flag(account_id is not None),
                text(account_id or ""),
                details,
            ],
        )
        yield {**case, "data_key": key, "id": id, "grant": grant, "details": details, "mac": signed}


def grant_route(case):
    return join(
        [
            text(case["server"]),
            opt(i64, case["expires_at"]),
            scopes(case["granted"]),
            text(case["owner"] or ""),
            text(case["provider"]),
            text(case["origin"]),
            text(case["token_endpoint"]),
            text(case["refresh_endpoint"]),
            opt(text, case["revocation_endpoint"]),
            text(case["client_id"]),
            *pairs(case["parameters"], text),
            scopes(case["requested"]),
            i64(case["consented_at"]),
            opt(u64, case["lifetime"]),
            *account(case["account"]),
        ]
    )


GRANTS = [
    {
        "name": "every field",
        "tenant": "Ärger & Söhne / 東京",
        "owner": "alice",
        "provider": "gmail",
        "generation": 2**63 - 1,
        "origin": "authorization_code",
        "server": "google",
        "token_endpoint": "https://issuer.test/token",
        "refresh_endpoint": "https://refresh.test/token",
        "revocation_endpoint": "https://issuer.test/revoke",
        "client_id": "client-1",
        "parameters": {"region": "eu", "instance": "eu1.example.test", "Zone": ""},
        "requested": ["openid", "https://example.test/mail", "A"],
        "granted": ["openid"],
        "account": {"id": "1234567890", "email": "alice@example.test", "label": "Alice Ä."},
        "consented_at": NOW,
        "expires_at": NOW + HOUR,
        "lifetime": HOUR,
        "access_token": "access-1",
        "refresh_token": "refresh-1",
        "id_token": "id-1",
    },
    {
        "name": "no optional field",
        "tenant": "acme",
        "owner": None,
        "provider": "github",
        "generation": 1,
        "origin": "authorization_code",
        "server": "github",
        "token_endpoint": "https://github.test/token",
        "refresh_endpoint": "https://github.test/token",
        "revocation_endpoint": None,
        "client_id": "client-2",
        "parameters": {},
        "requested": [],
        "granted": [],
        "account": None,
        "consented_at": 0,
        "expires_at": None,
        "lifetime": None,
        "access_token": "access-2",
        "refresh_token": "refresh-2",
        "id_token": None,
    },
]


def place_of(case, kind, id, generation, route):
    return {
        "kind": kind,
        "data_key": made("data key of " + case["name"], 32),
        "version": 3,
        "vault": made("vault of " + case["name"], 16),
        "tenant": case["tenant"],
        "owner": case["owner"],
        "provider": case["provider"],
        "id": id,
        "generation": generation,
        "route": route,
    }


def grants():
    for case in GRANTS:
        name = case["name"]
        id, route = made("grant " + name, 16), grant_route(case)
        access = place_of(case, "access_token", id, case["generation"], route)
        rest = {**access, "kind": "rest"}
        yield {
            **case,
            "data_key": access["data_key"],
            "version": access["version"],
            "vault": access["vault"],
            "id": id,
            "route": route,
            "access": seal(access, [text(case["access_token"])], made("access nonce " + name, 12)),
            "rest": seal(
                rest, [text(case["refresh_token"]), text(case["id_token"] or "")], made("rest nonce " + name, 12)
            ),
        }


def states():
    cases = [
        {
            "name": "every field",
            "fence": 9,
            "held": {"holder": made("holder", 16), "fence": 8, "since": NOW, "until": NOW + 60_000},
            "unknown_generation": 4,
            "failures": 3,
            "not_before": NOW + 1,
            "last_failure": "timed_out",
            "failed_at": NOW - 1,
            "quarantined_until": NOW + HOUR,
            "failed_setup": 0xBEEF,
            "token_refused_at": NOW + 2,
            "refresh_token_expires_at": NOW + 24 * HOUR,
        },
        {
            "name": "no optional field",
            "fence": 1,
            "held": None,
            "unknown_generation": None,
            "failures": 0,
            "not_before": None,
            "last_failure": None,
            "failed_at": None,
            "quarantined_until": None,
            "failed_setup": None,
            "token_refused_at": None,
            "refresh_token_expires_at": None,
        },
        {
            "name": "never claimed",
            "fence": 0,
            "held": None,
            "unknown_generation": None,
            "failures": 0,
            "not_before": None,
            "last_failure": None,
            "failed_at": None,
            "quarantined_until": None,
            "failed_setup": None,
            "token_refused_at": None,
            "refresh_token_expires_at": None,
        },
    ]
    for case in cases:
        held = case["held"] or {"holder": None, "fence": 0, "since": None, "until": None}
        state = join(
            [
                u64(case["fence"]),
                opt(raw, held["holder"]),
                u64(held["fence"]),
                opt(i64, held["since"]),
                opt(i64, held["until"]),
                opt(u64, case["unknown_generation"]),
                u32(case["failures"]),
                opt(i64, case["not_before"]),
                opt(text, case["last_failure"]),
                opt(i64, case["failed_at"]),
                opt(i64, case["quarantined_until"]),
                opt(u64, case["failed_setup"]),
                opt(i64, case["token_refused_at"]),
                opt(i64, case["refresh_token_expires_at"]),
            ]
        )
        yield {**case, "state": b"" if case["fence"] == 0 else state}


def consents():
    cases = [
        {
            "name": "every field",
            "tenant": "Ärger & Söhne / 東京",
            "user": "alice",
            "owner": None,
            "provider": "gmail",
            "server": "google",
            "issuer": "https://issuer.test",
            "token_endpoint": "https://issuer.test/token",
            "client_id": "client-1",
            "redirect_uri": "https://host.test/callback?a=b",
            "scopes": ["openid", "A", "https://example.test/mail"],
            "services": {"gmail": ["https://example.test/mail"], "calendar": ["b", "a"]},
            "parameters": {"region": "eu", "instance": "eu1.example.test", "Zone": ""},
            "label": "Work",
            "purpose": "extend",
            "target": made("target", 16),
            "require_account": True,
            "return_to": "/settings#connections",
            "named_scopes": ["b", "a"],
            "added_scopes": ["c"],
            "login_hint": "jürgen@example.test",
            "prompt": "select_account",
            "max_age": str(90_000_000_000),
            "acr_values": "urn:example:mfa urn:example:hardware",
            "created_at": NOW,
            "expires_at": NOW + 600_000,
            "verifier": made("pkce", 32).hex(),
        },
        {
            "name": "no optional field",
            "tenant": "acme",
            "user": "bob",
            "owner": "bob",
            "provider": "github",
            "server": "github",
            "issuer": None,
            "token_endpoint": "https://github.test/token",
            "client_id": "client-2",
            "redirect_uri": "https://host.test/callback",
            "scopes": [],
            "services": {},
            "parameters": {},
            "label": None,
            "purpose": "connect",
            "target": None,
            "require_account": False,
            "return_to": None,
            "named_scopes": None,
            "added_scopes": [],
            "login_hint": None,
            "prompt": None,
            "max_age": None,
            "acr_values": None,
            "created_at": 0,
            "expires_at": 1,
            "verifier": None,
        },
    ]
    for case in cases:
        name = case["name"]
        id, state, binding = made("request " + name, 16), made("state " + name, 32), made("binding " + name, 32)
        body = join(
            [
                binding,
                text(case["provider"]),
                text(case["server"]),
                opt(text, case["issuer"]),
                text(case["token_endpoint"]),
                text(case["client_id"]),
                text(case["redirect_uri"]),
                scopes(case["scopes"]),
                *pairs(case["services"], scopes),
                *pairs(case["parameters"], text),
                opt(text, case["label"]),
                text(case["purpose"]),
                opt(raw, case["target"]),
                flag(case["require_account"]),
                opt(text, case["return_to"]),
                opt(scopes, case["named_scopes"]),
                scopes(case["added_scopes"]),
                opt(text, case["login_hint"]),
                opt(text, case["prompt"]),
                opt(lambda age: u64(int(age)), case["max_age"]),
                opt(text, case["acr_values"]),
                i64(case["created_at"]),
            ]
        )
        route = join([state, text(case["user"]), i64(case["expires_at"]), body])
        place = place_of(case, "consent", id, 0, route)
        yield {
            **case,
            "data_key": place["data_key"],
            "version": place["version"],
            "vault": place["vault"],
            "id": id,
            "state": state,
            "binding": binding,
            "body": body,
            "route": route,
            "sealed": seal(place, [text(case["verifier"] or "")], made("verifier nonce " + name, 12)),
        }


def revocations():
    """Pending revocations of the grants above."""
    for case in GRANTS:
        name = case["name"]
        id = made("revocation " + name, 16)
        connection = bytes(16) if case["owner"] is None else made("revoked " + name, 16)
        give_up_at = NOW + 24 * HOUR
        body = join([made("grant " + name, 16), u64(case["generation"]), grant_route(case)])
        route = join([connection, text(case["owner"] or ""), i64(give_up_at), body])
        access = place_of(case, "revocation_access", id, case["generation"], route)
        rest = {**access, "kind": "revocation_rest"}
        yield {
            "grant": name,
            "id": id,
            "connection": connection,
            "give_up_at": give_up_at,
            "body": body,
            "route": route,
            "access": seal(access, [text(case["access_token"])], made("late access nonce " + name, 12)),
            "rest": seal(rest, [text(case["refresh_token"])], made("late rest nonce " + name, 12)),
        }


# Numbers of which some exceed 2^53, the last that JSON readers agree on.
AS_TEXT = {"generation", "number", "first", "last", "fence", "unknown_generation"}


def plain(value, key=None):
    """Bytes as hexadecimal, numbers that may be large as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if key in AS_TEXT and isinstance(value, int):
        return str(value)
    return value


def main():
    answers = {
        "format": 2,
        "records": list(records()),
        "audit_bodies": list(audit_bodies()),
        "audit_entries": list(audit_entries()),
        "audit": audit(),
        "row_macs": list(row_macs()),
        "connections": list(connections()),
        "grants": list(grants()),
        "states": list(states()),
        "consents": list(consents()),
        "revocations": list(revocations()),
    }
    print(json.dumps(plain(answers), indent=1, ensure_ascii=False))


main()
