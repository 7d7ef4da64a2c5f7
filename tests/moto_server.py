"""A moto server for tests: DynamoDB, STS and the rest of a simulated AWS at one address."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


@contextmanager
def running() -> Iterator[str]:
    """Its address."""
    # One request at a time: what moto does in a transaction, other threads see and undo half-way; DynamoDB's are whole.
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    serving.join()
    server.server_close()
