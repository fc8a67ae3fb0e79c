"""How a stand-in knows its clients. check() refuses a request with 401; token_answer() answers those for a token."""

import base64
import itertools
import json
import time
import urllib.parse

from .server import Refusal


class Auth:
    def token_answer(self, request):
        """The answer to a request for a token; None where it is another request."""
        return None

    def check(self, request):
        raise NotImplementedError


class Header(Auth):
    """A header with a fixed value: `Authorization: Bearer …`, `xc-token: …`. With several, each must be right."""

    def __init__(self, **expected):
        self.expected = {name.replace("_", "-").lower(): value for name, value in expected.items()}

    def check(self, request):
        if any(request.headers.get(name) != value for name, value in self.expected.items()):
            raise Refusal(401, {"error": "unauthorized"}, WWW_Authenticate="Bearer")


def bearer(token):
    return Header(authorization=f"Bearer {token}")


def basic(user, password):
    return Header(authorization="Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


class QueryParameter(Auth):
    def __init__(self, name, value):
        self.name, self.value = name, value

    def check(self, request):
        if request.query.get(self.name) != self.value:
            raise Refusal(401, {"error": "unauthorized"})


class ClientCredentials(Auth):
    """OAuth 2 client credentials (RFC 6749, section 4.4). `style` says where the client has to name itself: `basic` (the
    Authorization header), `form` or `json` (the body), or None for any of them. Every token is a new one."""

    def __init__(self, client_id, client_secret, path="/oauth/token", lifetime_s=3600, style=None):
        self.client_id, self.client_secret, self.path, self.lifetime_s, self.style = client_id, client_secret, path, lifetime_s, style
        self.numbers = itertools.count(1)
        self.tokens = {}  # token → when it ends
        self.issued = 0

    def expire(self):
        """Every token ends now."""
        self.tokens = {}

    def token_answer(self, request):
        if request.path != self.path:
            return None
        if request.method != "POST":
            raise Refusal(405)
        style, fields = self._fields(request)
        if fields.get("grant_type") != "client_credentials":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        given = (fields.get("client_id"), fields.get("client_secret"))
        if given != (self.client_id, self.client_secret) or (self.style and style != self.style):
            raise Refusal(401, {"error": "invalid_client"})
        token = f"token-{next(self.numbers)}-{self.client_id}"
        self.tokens[token] = time.monotonic() + self.lifetime_s
        self.issued += 1
        return {"access_token": token, "token_type": "bearer", "expires_in": self.lifetime_s}

    @staticmethod
    def _fields(request):
        content_type = request.headers.get("content-type", "").partition(";")[0]
        if content_type == "application/json":
            return "json", json.loads(request.body)
        if content_type != "application/x-www-form-urlencoded":
            raise Refusal(415, {"error": "invalid_request"})
        fields = dict(urllib.parse.parse_qsl(request.body.decode()))
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "form", fields
        user, _, password = base64.b64decode(credentials).decode().partition(":")
        return "basic", fields | {"client_id": urllib.parse.unquote(user), "client_secret": urllib.parse.unquote(password)}

    def check(self, request):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self.tokens.get(token, 0) < time.monotonic():
            raise Refusal(401, {"error": "invalid_token"}, WWW_Authenticate='Bearer error="invalid_token"')
