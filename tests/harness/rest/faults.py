"""What a server of JSON does to its clients when it is ill, overloaded or wicked.

A fault is a function of (request, answer, server): answer() is what the server would have said, and the fault returns what
it says instead, a Response. server.next(fault, …) has the next requests meet faults, one each; server.each(n, fault) each n-th.

    server.next(faults.status(500), faults.regular, faults.cut(100))
    server.each(3, faults.storm())
"""

import email.utils
import gzip as gzip_format
import json
import re
import time
import zlib

from .server import Response

LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form action='/login'>...</form></body></html>\n"


def regular(request, answer, server):
    """No fault: for a place in a row of them."""
    return answer()


def status(code, body=b'{"error": "a fault"}', **headers):
    """An error as such: 500, 503, 401, 404 …; headers with _ for -."""
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}

    def fault(request, answer, server):
        empty = code in (204, 304)
        return Response(code, b"" if empty else body, ({} if empty else {"Content-Type": "application/json"}) | named)

    return fault


def storm(retry_after=None, as_date=False):
    """429, with Retry-After in seconds, as a date so many seconds away (of which HTTP knows no fractions), or without it."""

    def fault(request, answer, server):
        if retry_after is None:
            told = {}
        elif as_date:
            told = {"Retry_After": email.utils.formatdate(int(time.time() + retry_after + 0.999), usegmt=True)}
        else:
            told = {"Retry_After": retry_after}
        return status(429, **told)(request, answer, server)

    return fault


# ----------------------------------------------------------------------------------------------------- on the way of bytes


def cut(after=None, reset=False):
    """The connection ends after so many bytes of the body (half of it, by default), which was announced whole."""

    def fault(request, answer, server):
        response = answer()
        response.chunks = [response.body[: len(response.body) // 2 if after is None else after]]
        response.close, response.reset = True, reset
        return response

    return fault


def hang_up(request, answer, server):
    """The connection ends before a byte came."""
    return Response(silent=True, close=True)


def stall(after=None):
    """Nothing comes any more after so many bytes of the body (half of it, by default), until the server is closed."""

    def fault(request, answer, server):
        response = answer()
        place = len(response.body) // 2 if after is None else after

        def chunks():
            yield response.body[:place]
            server.released.wait(600)

        response.chunks, response.close = chunks(), True
        return response

    return fault


def silence(request, answer, server):
    """Not even a status comes, until the server is closed."""
    server.released.wait(600)
    return Response(silent=True, close=True)


def drip(size=1, pause_s=0.05):
    """The body in pieces of `size` bytes with pauses between them."""

    def fault(request, answer, server):
        response = answer()

        def chunks():
            for place in range(0, len(response.body), size):
                yield response.body[place : place + size]
                if server.released.wait(pause_s):
                    return

        response.chunks = chunks()
        return response

    return fault


def gzip(request, answer, server):
    """Packed, whether or not that was accepted."""
    response = answer()
    response.body = gzip_format.compress(response.body)
    response.headers["Content-Encoding"] = "gzip"
    return response


def bad_gzip(request, answer, server):
    """Said to be packed, and packed wrongly from the middle on."""
    response = gzip(request, answer, server)
    middle = len(response.body) // 2
    response.body = response.body[:middle] + bytes(byte ^ 0x55 for byte in response.body[middle:])
    return response


def wrong_checksum(request, answer, server):
    """Packed well, with a checksum that isn't its content's: what a byte that changed on the way looks like."""
    response = gzip(request, answer, server)
    response.body = response.body[:-8] + bytes(byte ^ 0x55 for byte in response.body[-8:-4]) + response.body[-4:]
    return response


def bomb(size=1 << 30):
    """A body that is small packed and `size` bytes unpacked."""

    def fault(request, answer, server):
        packer = zlib.compressobj(9, wbits=31)
        blank = b" " * (1 << 20)
        blanks = [packer.compress(blank) for _ in range(size >> 20)]
        packed = b"".join([*blanks, packer.compress(b"[]"), packer.flush()])
        return Response(200, packed, {"Content-Type": "application/json", "Content-Encoding": "gzip"})

    return fault


# ------------------------------------------------------------------------------------------------------------ other bodies


def body(content, content_type="application/json", code=200):
    """This, in place of everything."""
    content = content.encode() if isinstance(content, str) else content
    return lambda request, answer, server: Response(code, content, {"Content-Type": content_type})


login_page = body(LOGIN_PAGE, "text/html; charset=utf-8")  # with status 200, as gateways do
no_content = status(204)


def truncated(request, answer, server):
    """JSON that ends in its middle, though the response is whole."""
    response = answer()
    response.body = response.body[: len(response.body) * 2 // 3]
    return response


def deep(levels=10_000, in_row=False):
    """So many levels of arrays: the whole answer, or, in_row, a value in its first row."""

    def fault(request, answer, server):
        nest = b"[" * levels + b"]" * levels
        response = answer()
        if in_row:
            response.body = re.sub(rb'(\{)(?="id")', rb'{"deep":' + nest + b",", response.body, count=1)
        else:
            response.body = nest
        return response

    return fault


def huge(size):
    """A body of `size` bytes that is one string in an array. It is made while it is sent."""

    def fault(request, answer, server):
        def chunks():
            yield b'["'
            left, block = size - 4, b"x" * 65536
            while left > 0:
                yield block[:left]
                left -= len(block)
            yield b'"]'

        return Response(200, b"", {"Content-Type": "application/json", "Content-Length": str(size)}, chunks=chunks())

    return fault


def replace(pattern, by, count=1):
    """The body with this regular expression (bytes) replaced: invalid UTF-8, duplicate keys, numbers of many digits …"""

    def fault(request, answer, server):
        response = answer()
        response.body, times = re.subn(pattern, by, response.body, count=count)
        assert times, f"{pattern} isn't in the answer {response.body[:200]}"
        return response

    return fault


# Each in the first row; rows have an "id" and a "name".
invalid_utf8 = replace(rb'"name":"[^"]*', b'"name":"caf\xe9')
duplicate_in_row = replace(rb'"name":("[^"]*")', rb'"name":\1,"name":"again"')
# In the object around the rows.
duplicate_in_envelope = replace(rb"^\{", b'{"data":{"items":[]},')


def rewrite(change):
    """The body as change(decoded JSON) has it."""

    def fault(request, answer, server):
        response = answer()
        response.body = json.dumps(change(json.loads(response.body)), ensure_ascii=False).encode()
        return response

    return fault


def same_page():
    """Whatever is asked, the first answer again, with its links and tokens: pages without an end."""
    first = []

    def fault(request, answer, server):
        if not first:
            first.append(answer())
        return Response(first[0].status, first[0].body, dict(first[0].headers))

    return fault


def short(rows):
    """A page of an array cut to so many rows: a cap of which nothing is said."""
    return rewrite(lambda content: content[:rows])


# ------------------------------------------------------------------------------------------------- away, and whoever asks


def redirect(location, code=302):
    """To another place: another host, file:///…, or (a loop) where the request went."""

    def fault(request, answer, server):
        return Response(code, b"", {"Location": location if location is not None else request.target})

    return fault


redirect_loop = redirect(None)


def next_link(url):
    """A Link header, and `next` of an envelope, that lead to this URL."""

    def fault(request, answer, server):
        response = answer()
        response.headers["Link"] = f'<{url}>; rel="next"'
        content = json.loads(response.body)
        if isinstance(content, dict):
            response.body = json.dumps(content | {"next": url, "has_more": True}).encode()
        return response

    return fault


def expire_tokens(request, answer, server):
    """The server's OAuth 2 tokens end just before this request."""
    server.auth.expire()
    return answer()
