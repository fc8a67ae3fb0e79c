"""Servers of JSON APIs for the tests, in this process, each on a free loopback port. They are stand-ins: each says in its
docstring which published contract it follows."""

from .auth import ClientCredentials, Header, QueryParameter, basic, bearer
from .ords import Ords
from .plain import Plain
from .server import Refusal, Request, Response, Server
from .table import Table

__all__ = [
    "ClientCredentials",
    "Header",
    "Ords",
    "Plain",
    "QueryParameter",
    "Refusal",
    "Request",
    "Response",
    "Server",
    "Table",
    "basic",
    "bearer",
]
