"""A JSON:API server (jsonapi.org, version 1.1): a stand-in.

    GET /NAME?page[cursor]=
        {"data": [{"type": NAME, "id": "1", "attributes": {…}, "relationships": {…}, "links": {…}}], "links": {"self": …, "next": URL or null}}

Ids are texts. How many rows a page has is the server's matter; the media type has to be accepted."""

from .server import Refusal, Server, iso_ms, whole


class JsonApi(Server):
    media_type = "application/vnd.api+json"

    def __init__(self, *tables, page_rows=100, **more):
        self.page_rows = page_rows
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        name = request.path.removeprefix("/")
        if request.method != "GET" or name not in self.tables:
            raise Refusal(404, {"errors": [{"status": "404", "title": "Not Found"}]})
        if request.headers.get("accept") != self.media_type:
            raise Refusal(406, {"errors": [{"status": "406", "title": "Not Acceptable"}]})
        table, after = self.tables[name], whole(request.query, "page[cursor]", 0)
        rows = [row for row in table.ordered([("id", False)]) if row["id"] > after]
        page = rows[: self.page_rows]
        more = len(rows) > len(page)
        answer = self.json_response({
            "jsonapi": {"version": "1.1"},
            "data": [
                {"type": name, "id": str(row["id"]), "attributes": {key: value for key, value in row.items() if key != "id"},
                 "relationships": {"author": {"data": {"type": "people", "id": "9"}}}, "links": {"self": f"{self.url}/{name}/{row['id']}"}}
                for row in page
            ],
            "links": {"self": self.url + request.target, "next": f"{self.url}/{name}?page[cursor]={page[-1]['id']}" if more else None},
        })  # fmt: skip
        answer.headers["Content-Type"] = self.media_type
        return answer
