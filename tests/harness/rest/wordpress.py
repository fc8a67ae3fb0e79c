"""WordPress' REST API for posts and the like, as its handbook has it: a stand-in.

    GET /wp-json/wp/v2/NAME?modified_after=&orderby=modified|id|date&order=asc|desc&per_page=&page=|offset=&_fields=a,b    an array

modified_after is strict (>), the order has one key and equals come in any order, 10 rows a page where nothing is said, more
than 100 is refused, and a page past the end is a 400. Times have no zone. X-WP-Total, X-WP-TotalPages and Link tell the rest."""

import random
import urllib.parse

from .auth import basic
from .server import Refusal, Server, whole
from .table import parse_time, sort_rows, where


class WordPress(Server):
    user, password = "reader", "abcd efgh ijkl"
    columns = {"modified": "modified_gmt", "date": "date_gmt", "id": "id"}

    def __init__(self, *tables, seed=None, **more):
        self.chance = random.Random(seed)
        self.auth = basic(self.user, self.password)
        super().__init__(*tables, **more)

    @property
    def base_url(self):
        return self.url + "/wp-json/wp/v2/"

    def time_text(self, moment):
        return moment.strftime("%Y-%m-%dT%H:%M:%S")

    def handle(self, request):
        name = request.path.removeprefix("/wp-json/wp/v2/")
        if request.method != "GET" or name not in self.tables:
            raise Refusal(404, problem("rest_no_route", 404, "No route was found matching the URL and request method."))
        query = request.query
        size, number = whole(query, "per_page", 10, 1), whole(query, "page", 1, 1)
        column, descending = self.columns.get(query.get("orderby", "date")), query.get("order", "desc") == "desc"
        if size > 100 or column is None:
            raise Refusal(400, problem("rest_invalid_param", 400, "Invalid parameter(s): per_page or orderby"))
        rows = self.tables[name].rows()
        try:
            for parameter, word in (("modified_after", "gt"), ("modified_before", "lt")):
                if parameter in query:
                    rows = where(rows, "modified_gmt", word, parse_time(query[parameter]))
        except ValueError as error:
            raise Refusal(400, problem("rest_invalid_param", 400, "Invalid parameter(s): modified_after")) from error
        self.chance.shuffle(rows)
        rows = sort_rows(rows, [(column, descending)])
        pages = -(-len(rows) // size)
        if number > max(1, pages):
            message = "The page number requested is larger than the number of pages available."
            raise Refusal(400, problem("rest_post_invalid_page_number", 400, message))
        begin = whole(query, "offset", (number - 1) * size)
        page = rows[begin : begin + size]
        if "_fields" in query:
            page = [{name: row[name] for name in query["_fields"].split(",")} for row in page]
        answer = self.json_response(page, X_WP_Total=len(rows), X_WP_TotalPages=pages)
        if number < pages:
            kept = [(key, value) for key, value in request.pairs if key != "page"]
            link = self.url + request.path + "?" + urllib.parse.urlencode([*kept, ("page", number + 1)])
            answer.headers["Link"] = f'<{link}>; rel="next"'
        return answer


def problem(code, status, message):
    return {"code": code, "message": message, "data": {"status": status}}
