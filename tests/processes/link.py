"""A connection to a broker's socket that uses no code of sluice."""

import json
import socket

# Far longer than any step takes; sanitizers are slow, and machines are busy.
PATIENCE = 120.0


class Refused(Exception):
    """An error that the broker answered."""

    def __init__(self, error):
        self.error = error
        self.data = error.get("data") or {}
        self.code = self.data.get("code")
        self.outcome = self.data.get("outcome")
        super().__init__(json.dumps(error))


class Link:
    """A connection to a broker's socket."""

    def __init__(self, path, patience=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.bytes = b""
        self.last_id = 0
        self.answers = {}
        self.order = []
        # The notifications received so far.
        self.news = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, x):
        self.socket.sendall(x)

    def post(self, method, /, **params):
        """Sends a request without waiting; returns its id."""
        self.last_id += 1
        self.send_bytes(request(self.last_id, method, **params))
        return self.last_id

    def receive(self):
        """The next document, or None at the end."""
        while b"\n" not in self.bytes:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.bytes += more
        line, self.bytes = self.bytes.split(b"\n", 1)
        return json.loads(line)

    def pump(self):
        """Receives one document and stores it."""
        x = self.receive()
        if x is None:
            raise ConnectionError("the broker closed the connection")
        if "method" in x:
            self.news.append(x)
        else:
            self.answers[x["id"]] = x
            self.order.append(x["id"])
        return x

    def answer(self, which):
        """Waits for the result of the request with this id."""
        while which not in self.answers:
            self.pump()
        x = self.answers.pop(which)
        if "error" in x:
            raise Refused(x["error"])
        return x["result"]

    def call(self, method, /, **params):
        return self.answer(self.post(method, **params))

    def next_news(self):
        while not self.news:
            self.pump()
        return self.news.pop(0)

    def write(self, db, sql, *params, **more):
        return self.call("write", db=db, statements=[{"sql": sql, "params": list(params)}], **more)

    def read(self, db, sql, **more):
        return self.call("read", db=db, sql=sql, **more)["rows"]

    def refusal(self, method, /, **params):
        """Sends a request that must fail; returns the error."""
        try:
            result = self.call(method, **params)
        except Refused as x:
            return x
        raise AssertionError(f"{method} was not refused: {result}")

    def at_end(self):
        """Receives until the broker closes the connection."""
        result = []
        while (x := self.receive()) is not None:
            result.append(x)
        return result


def request(which, method, /, **params):
    return json.dumps({"jsonrpc": "2.0", "id": which, "method": method, "params": params}).encode() + b"\n"
