"""Servers of JSON APIs for the tests, in this process, each on a free loopback port. They are stand-ins: each says in its
docstring which published contract it follows."""

from . import faults, npm
from .auth import ClientCredentials, Header, QueryParameter, basic, bearer
from .couchdb import CouchDB
from .directus import Directus
from .elasticsearch import Elasticsearch
from .github import GitHub
from .graphql import ShopifyGraphql
from .jsonapi import JsonApi
from .limits import Bucket, Window
from .nocodb import NocoDB
from .odata import OData
from .ords import Ords
from .plain import Plain
from .postgrest import PostgREST, Supabase
from .redmine import Redmine
from .relay import Relay
from .server import Refusal, Request, Response, Server
from .shopify import ShopifyRest
from .strapi import Strapi
from .stripe import Stripe
from .table import Table
from .told import Told
from .wordpress import WordPress

__all__ = [
    "Bucket",
    "ClientCredentials",
    "CouchDB",
    "Directus",
    "Elasticsearch",
    "GitHub",
    "Header",
    "JsonApi",
    "NocoDB",
    "OData",
    "Ords",
    "Plain",
    "PostgREST",
    "QueryParameter",
    "Redmine",
    "Refusal",
    "Relay",
    "Request",
    "Response",
    "Server",
    "ShopifyGraphql",
    "ShopifyRest",
    "Strapi",
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
