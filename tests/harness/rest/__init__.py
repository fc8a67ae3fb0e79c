"""Servers of JSON APIs for the tests, in this process, each on a free loopback port. They are stand-ins: each says in its
docstring which published contract it follows."""

from . import faults, npm
from .auth import ClientCredentials, Header, QueryParameter, basic, bearer
from .directus import Directus
from .github import GitHub
from .graphql import ShopifyGraphql
from .limits import Bucket, Window
from .nocodb import NocoDB
from .odata import OData
from .ords import Ords
from .plain import Plain
from .postgrest import PostgREST, Supabase
from .server import Refusal, Request, Response, Server
from .shopify import ShopifyRest
from .stripe import Stripe
from .table import Table
from .told import Told
from .wordpress import WordPress

__all__ = [
    "Bucket",
    "ClientCredentials",
    "Directus",
    "GitHub",
    "Header",
    "NocoDB",
    "OData",
    "Ords",
    "Plain",
    "PostgREST",
    "QueryParameter",
    "Refusal",
    "Request",
    "Response",
    "Server",
    "ShopifyGraphql",
    "ShopifyRest",
    "Stripe",
    "Supabase",
    "Table",
    "Told",
    "Window",
    "WordPress",
    "basic",
    "bearer",
    "faults",
    "npm",
]
