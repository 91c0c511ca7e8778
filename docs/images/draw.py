#!/usr/bin/env python3
"""Draws the diagrams of the documentation as SVG files beside this script.

`docs/images/draw.py` writes them; `docs/images/draw.py --check` fails if a file differs from what it
would write. Colours follow the reader's light or dark setting.
"""

import math
import pathlib
import re
import sys
from html import escape

HERE = pathlib.Path(__file__).parent

STYLE = """
.vk-box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.2 }
.vk-accent { fill: #ddf4ff; stroke: #0969da }
.vk-warn { fill: #fff8c5; stroke: #9a6700 }
.vk-line { stroke: #57606a; stroke-width: 1.4; fill: none }
.vk-dash { stroke-dasharray: 5 4 }
.vk-head { fill: #57606a }
.vk text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.vk .vk-small { font-size: 12px; fill: #57606a }
.vk .vk-bold { font-weight: 600 }
.vk-ground { fill: #ffffff }
.vk-label { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
@media (prefers-color-scheme: dark) {
  .vk-box { fill: #21262d; stroke: #9198a1 }
  .vk-accent { fill: #121d2f; stroke: #4493f8 }
  .vk-warn { fill: #272115; stroke: #d29922 }
  .vk-line { stroke: #9198a1 }
  .vk-head { fill: #9198a1 }
  .vk text { fill: #f0f6fc }
  .vk .vk-small { fill: #9198a1 }
  .vk-ground { fill: #0d1117 }
  .vk-label { stroke: #0d1117 }
}
"""


def classes(*names):
    """Returns the classes of an element. The prefix keeps them apart from those of a page."""
    return " ".join(f"vk-{name}" for name in " ".join(names).split())


class Drawing:
    """One picture: boxes, arrows and text at given places."""

    def __init__(self, width, height, title):
        self.size = (width, height)
        self.title = title
        self.parts = []

    def text(self, x, y, text, css="", anchor="middle"):
        for row, line in enumerate(text.split("\n")):
            kind = f' class="{classes(css)}"' if css else ""
            self.parts.append(
                f'<text x="{x}" y="{y + 17 * row}" text-anchor="{anchor}"{kind}>{escape(line)}</text>'
            )

    def box(self, x, y, w, h, text, detail="", css=""):
        self.parts.append(
            f'<rect class="{classes("box", css)}" x="{x}" y="{y}" width="{w}" height="{h}" rx="6"/>'
        )
        lines = text.count("\n") + 1
        rows = lines + (detail.count("\n") + 1 if detail else 0)
        top = y + h / 2 - 17 * (rows - 1) / 2 + 5
        self.text(x + w / 2, top, text, "bold")
        if detail:
            self.text(x + w / 2, top + 17 * lines, detail, "small")

    def arrow(self, *points, label="", at=None, css=""):
        path = " ".join(f"{'M' if n == 0 else 'L'}{x} {y}" for n, (x, y) in enumerate(points))
        self.parts.append(f'<path class="{classes("line", css)}" d="{path}" marker-end="url(#vk-head)"/>')
        if label:
            (x1, y1), (x2, y2) = points[0], points[-1]
            x, y = at or ((x1 + x2) / 2, (y1 + y2) / 2 - 7)
            self.text(x, y, label, "small label")

    def line(self, x1, y1, x2, y2, css=""):
        self.parts.append(f'<path class="{classes("line", css)}" d="M{x1} {y1} L{x2} {y2}"/>')

    def svg(self):
        width, height = self.size
        body = "\n".join(self.parts)
        return (
            f'<svg class="vk" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'role="img" aria-label="{escape(self.title)}">\n<title>{escape(self.title)}</title>\n'
            f"<style>{STYLE.strip()}</style>\n"
            '<defs><marker id="vk-head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
            'markerHeight="8" orient="auto-start-reverse"><path class="vk-head" d="M0 0 L10 5 L0 10 z"/>'
            "</marker></defs>\n"
            f'<rect class="vk-ground" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
        )


def layers():
    picture = Drawing(720, 470, "The layers of the crate; each uses those below it")
    rows = [
        ("gateway", "HTTP: callback, links, API, pages"),
        ("loopback, upkeep_guard", "a native app's consent; upkeep on a thread"),
        ("resolver", "turns: find, resolve, send, redact, ask"),
        ("connections", "the operations that a host calls"),
        ("engine", "consent, refresh, revoke, upkeep, and the decision about a connection"),
        ("vault", "storage: decisions, sealing, databases"),
        ("protocol", "requests to authorization servers, without I/O"),
        ("provider", "descriptors as data, and compiled"),
        ("http", "the network interface and the default client"),
        ("model, secret, random, clock, error", "plain data and secret types"),
    ]
    for number, (name, detail) in enumerate(rows):
        y = 15 + 45 * number
        css = "accent" if name in ("engine", "vault") else ""
        picture.parts.append(
            f'<rect class="{classes("box", css)}" x="20" y="{y}" width="640" height="36" rx="6"/>'
        )
        picture.text(36, y + 23, name, "bold", "start")
        picture.text(644, y + 23, detail, "small", "end")
    picture.arrow((690, 20), (690, 450))
    picture.text(690, 465, "uses", "small")
    return picture


def consent():
    picture = Drawing(860, 500, "The consent flow, from start to the stored tokens")
    lanes = [("Browser", 80), ("Host", 290), ("valetkey", 520), ("Provider", 775)]
    for name, x in lanes:
        picture.box(x - 65, 12, 130, 34, name, css="accent" if name == "valetkey" else "")
        picture.line(x, 46, x, 490, "dash")
    at = dict(lanes)
    steps = [
        ("Host", "valetkey", "start(user, provider)"),
        ("valetkey", "Host", "authorization URL, binding"),
        ("Host", "Browser", "redirect, binding as a cookie"),
        ("Browser", "Provider", "authorization request (state, PKCE challenge)"),
        ("Provider", "Browser", "the user approves: redirect with code and state"),
        ("Browser", "Host", "callback, with the cookie"),
        ("Host", "valetkey", "complete(user, response, binding)"),
        ("valetkey", "Provider", "code and PKCE verifier"),
        ("Provider", "valetkey", "tokens; then the account is looked up"),
        ("valetkey", "Host", "connection: tokens sealed and stored"),
    ]
    for number, (source, target, label) in enumerate(steps):
        y = 88 + 42 * number
        x1, x2 = at[source], at[target]
        gap = 6 if x2 > x1 else -6
        picture.arrow((x1 + gap, y), (x2 - gap, y), label=label)
    return picture


def records():
    picture = Drawing(800, 400, "Tenants, connections, grants and what waits beside them")
    picture.box(20, 160, 130, 60, "tenant", "one data key")
    picture.box(230, 40, 200, 70, "connection", "provider, owner, label,\nstatus, default", "accent")
    picture.box(560, 40, 210, 70, "grant", "tokens, generation, expiry,\nroute, scopes, account", "accent")
    picture.box(560, 170, 210, 60, "former grant", "replaced by a later consent")
    picture.box(230, 170, 200, 60, "consent request", "state, verifier, binding")
    picture.box(230, 300, 200, 60, "audit chain", "one entry per change and use")
    picture.box(560, 300, 210, 60, "pending revocation", "tokens that the provider\nhas not confirmed")
    picture.arrow((150, 175), (230, 85))
    picture.arrow((150, 195), (230, 198))
    picture.arrow((150, 210), (230, 320))
    picture.arrow((430, 75), (560, 75), label="uses (n : 1)")
    picture.arrow((665, 170), (665, 112), label="former of", at=(700, 146))
    picture.arrow((665, 230), (665, 298), label="revoked", at=(695, 268))
    picture.arrow((330, 170), (330, 112), label="completes as", at=(378, 146))
    return picture


def keys():
    picture = Drawing(820, 330, "The key hierarchy")
    picture.box(20, 125, 150, 70, "master key", "a file of the host,\nnever stored", "warn")
    picture.box(260, 20, 200, 60, "vault keys", "audit chain, fingerprints")
    picture.box(260, 130, 200, 60, "data key of a tenant", "one version active", "accent")
    picture.box(260, 240, 200, 60, "row key of a tenant", "HMAC-SHA-256", "accent")
    picture.box(560, 95, 240, 54, "tokens of a grant", "bound to tenant, owner, route")
    picture.box(560, 165, 240, 54, "consents, revocations", "sealed as a whole")
    picture.box(560, 243, 240, 54, "rows without a secret", "authenticated, every column")
    picture.arrow((170, 145), (260, 55), label="wraps", at=(200, 88))
    picture.arrow((170, 160), (260, 160), label="wraps")
    picture.arrow((170, 178), (260, 265), label="wraps", at=(200, 240))
    picture.arrow((460, 150), (560, 124), label="seals", at=(505, 126))
    picture.arrow((460, 170), (560, 190), label="seals", at=(508, 198))
    picture.arrow((460, 270), (560, 270), label="authenticates")
    return picture


def refresh():
    picture = Drawing(860, 360, "The states of a refresh")
    picture.box(20, 60, 120, 54, "idle", "tokens stored")
    picture.box(230, 60, 130, 54, "claimed", "durable claim", "accent")
    picture.box(460, 60, 130, 54, "in flight", "request sent", "accent")
    picture.box(700, 60, 140, 54, "stored", "generation + 1", "accent")
    picture.box(230, 200, 130, 54, "backing off", "not before ...")
    picture.box(455, 200, 140, 54, "needs consent", "token kept for 7 days", "warn")
    picture.box(700, 200, 140, 54, "unsaved", "kept in memory")
    picture.box(460, 295, 130, 48, "erased")
    picture.arrow((140, 87), (230, 87), label="claim")
    picture.arrow((360, 87), (460, 87), label="request")
    picture.arrow((590, 87), (700, 87), label="tokens")
    picture.arrow((770, 60), (770, 25), (80, 25), (80, 60), label="the token is returned", at=(425, 18))
    picture.arrow((500, 114), (340, 200), label="no final answer", at=(372, 150))
    picture.arrow((230, 227), (80, 227), (80, 114), label="retry", at=(150, 220))
    picture.arrow((525, 114), (525, 200), label="refused", at=(556, 162))
    picture.arrow((525, 254), (525, 295))
    picture.arrow((560, 114), (720, 200), label="vault locked", at=(690, 160))
    picture.arrow((790, 200), (790, 114), label="later", at=(812, 160))
    picture.arrow((455, 227), (410, 227), (410, 120), (360, 100), label="retry_rejected", at=(408, 246))
    return picture


def alternatives():
    """A chart of the bench `naive`, from its recorded output."""
    lines = (HERE.parent / "measurements" / "naive.txt").read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines:
        found = re.match(r"(\S.*?)\s{2,}(\d+)\s+\d+\s+\d+\s+([\d.]+)", line)
        if found:
            rows.append((found.group(1), float(found.group(3))))
    picture = Drawing(760, 70 + 46 * len(rows), "One token read, compared with other designs")
    widest = math.log10(max(ratio for _, ratio in rows)) or 1
    for number, (name, ratio) in enumerate(rows):
        y = 20 + 46 * number
        length = 30 + 330 * math.log10(max(ratio, 1)) / widest
        picture.text(280, y + 21, name, anchor="end")
        css = "accent" if number == 0 else ""
        picture.parts.append(
            f'<rect class="{classes("box", css)}" x="295" y="{y}" width="{length:.0f}" height="30" rx="4"/>'
        )
        picture.text(305 + length, y + 21, f"{ratio:.1f}×", "bold", "start")
    picture.text(380, 45 + 46 * len(rows), "time of one read, as a multiple of `resolve`; logarithmic", "small")
    return picture


def main():
    changed = []
    for draw in (layers, consent, records, keys, refresh, alternatives):
        path = HERE / f"{draw.__name__}.svg"
        text = draw().svg()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if changed:
        print("changed:", ", ".join(changed))
    return 1 if changed and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
