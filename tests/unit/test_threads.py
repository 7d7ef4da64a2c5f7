"""Work that a page or the coach sets going in a thread is done as the user who asked, and logged under the same reference."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("codecoach/ui", "codecoach/coach", "pages")
STARTING = {"Thread", "Timer", "ThreadPoolExecutor"}
COPIED = "copy_context().run"
# What is nobody's work, and why.
NOBODYS = {
    (
        "codecoach/coach/meter.py",
        "self._look_after",
    ): "counts the calls of everybody, and lives longer than any of them",
    ("codecoach/ui/app.py", "_warm"): "the start of the process: nobody is signed in yet",
    ("codecoach/ui/parts.py", "self._run"): "looks whether the model, the store and the runner answer, for all pages",
}


def work_of(call: ast.Call) -> ast.expr | None:
    """What a `Thread(target=...)` or `Timer(seconds, ...)` does."""
    named = [word.value for word in call.keywords if word.arg in ("target", "function")]
    return next(iter([*named, *call.args[1:2]]), None)


def started_in(source: str) -> Iterator[str]:
    """What each thread that is started does; `COPIED` where that is done within a copy of the surroundings."""
    tree = ast.parse(source)
    names = {
        ast.unparse(node.targets[0]): ast.unparse(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in STARTING:
            work = work_of(node)
            said = ast.unparse(work) if work else "?"
            yield names.get(said, said) if isinstance(work, ast.Name) else said


def test_every_thread_works_as_the_user_who_asked_or_has_a_reason():
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    found = [(str(file.relative_to(ROOT)), work) for file in files for work in started_in(file.read_text("utf-8"))]
    others = {pair for pair in found if pair[1] != COPIED}
    assert others - NOBODYS.keys() == set(), "start it within contextvars.copy_context(), or say why not"
    assert NOBODYS.keys() - others == set(), "no longer there: take it from the list"
    assert len(found) - len(others) >= 5


def test_a_thread_without_a_copied_context_is_seen_however_it_is_written():
    for source in ("threading.Thread(target=work)", "Thread(None, work)", "Timer(1.0, work)", "ThreadPoolExecutor(4)"):
        assert list(started_in(source)) != [COPIED]
    assert list(started_in("within = copy_context().run\nThread(target=within, args=(work,))")) == [COPIED]
    assert list(started_in("threading.Thread(target=copy_context().run, args=(work,))")) == [COPIED]
