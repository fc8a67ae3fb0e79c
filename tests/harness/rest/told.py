"""A server that answers as the test tells it to."""

from .server import Response, Server


class Told(Server):
    """A stand-in for whatever API behaves like `tell`, a function of the request: JSON, or a Response."""

    tell = None

    def handle(self, request):
        content = self.tell(request)
        return content if isinstance(content, Response) else self.json_response(content)
