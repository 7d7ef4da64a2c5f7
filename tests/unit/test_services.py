"""Parts are built once, by whoever asks first, and a part that could not be built is tried again."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from codecoach.errors import StoreUnavailable
from codecoach.services import Services, part
from codecoach.settings import Settings

ASKING = 8


class Gate:
    """A lock that tells when all threads stand before it or have passed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.here = 0
        self.counting = threading.Lock()
        self.all_here = threading.Event()

    def __enter__(self) -> None:
        with self.counting:
            self.here += 1
            if self.here == ASKING:
                self.all_here.set()
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.lock.release()


class Slow(Services):
    """Services whose part takes as long to build as the test wants."""

    def __init__(self) -> None:
        self.builds = 0
        self.go = threading.Event()
        self.works = True
        super().__init__(Settings())
        self.gate = self.building["slow"] = Gate()

    @part
    def slow(self) -> object:
        self.builds += 1
        self.go.wait(10)
        if not self.works:
            raise StoreUnavailable(detail="away")
        return object()


def asked_at_once(services: Slow) -> list[object]:
    """What each of many threads got that all ask before the first has its answer."""

    def ask() -> object:
        try:
            return services.slow
        except StoreUnavailable as error:
            return error

    with ThreadPoolExecutor(ASKING) as pool:
        answers = [pool.submit(ask) for _ in range(ASKING)]
        services.gate.all_here.wait(10)
        services.go.set()
        return [answer.result() for answer in answers]


def test_a_part_is_built_once_for_all_threads():
    services = Slow()
    assert len(set(asked_at_once(services))) == 1
    assert services.builds == 1


def test_who_waits_for_a_part_that_fails_does_not_wait_again_and_the_next_who_asks_tries_anew():
    services = Slow()
    services.works = False
    errors = asked_at_once(services)
    assert services.builds == 1
    assert all(isinstance(error, StoreUnavailable) for error in errors)
    with pytest.raises(StoreUnavailable):
        _ = services.slow
    services.works = True
    assert services.slow is services.slow
    assert services.builds == 3


def test_what_cannot_be_closed_keeps_nothing_else_open():
    class Stubborn:
        def close(self) -> None:
            raise OSError

    class Closable:
        closed = False

        def close(self) -> None:
            self.closed = True

    services = Services(Settings())
    services.__dict__["runner"], services.__dict__["table"] = Stubborn(), Closable()
    services.close()
    assert services.table.closed


def test_a_store_that_cannot_be_had_at_first_keeps_no_other_part_from_working(tmp_path):
    (tmp_path / "file").write_text("")
    services = Services(Settings(data_dir=tmp_path / "file"))
    services.warm()
    assert services.runner.runtimes()
    with pytest.raises(StoreUnavailable):
        services.accounts.get("ada@example.com")
    (tmp_path / "file").unlink()
    assert services.accounts.get("ada@example.com") is None
    assert services.table.ping().startswith("SQLite")
    services.close()
