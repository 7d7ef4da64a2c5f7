"""The supervisor's report is read whatever pieces it comes in, and nothing in it is trusted."""

import base64
import itertools

from hypothesis import given
from hypothesis import strategies as st

from codecoach.runner.piston.answers import Stage
from codecoach.runner.piston.endings import Heard, result
from codecoach.runner.piston.instructions import Bounds
from codecoach.runner.piston.report import Report
from codecoach.runner.port import File, Limits, OutputChunk, RunRequest, RunStatus

TOKEN = "0123456789abcdef" * 2
LIMITS = Limits(output_bytes=1000, files=3, file_bytes=100)
BOUNDS = Bounds(30, 120, 35_000, 125_000, 10**9, 10**9)
REQUEST = RunRequest("j", "python", (File("main.py", b""),), limits=LIMITS)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def report(*pieces: str, limits: Limits = LIMITS) -> tuple[Report, list[OutputChunk]]:
    chunks: list[OutputChunk] = []
    made = Report(TOKEN, limits, chunks.append)
    for piece in pieces:
        made.feed("stdout", piece)
    made.finish()
    return made, chunks


def line(*words: object) -> str:
    return " ".join(map(str, (TOKEN, *words))) + "\n"


WHOLE = (
    "from the shell\n"
    + line("o", encoded("é中😀".encode()[:4]))
    + line("e", encoded(b"oops\n"))
    + line("o", encoded("é中😀".encode()[4:]))
    + "0123 no token"
    + line("f", encoded(b"out/a.bin"), 5)
    + line("d", encoded(b"\0\1\2"))
    + line("d", encoded(b"\3\4"))
    + line("x", 3, "-", 1500, 20, 4096, "-", 2)
)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_it_is_the_same_in_whatever_pieces_it_comes(cuts):
    edges = [0, *sorted(cuts), len(WHOLE)]
    made, chunks = report(*(WHOLE[begin:end] for begin, end in itertools.pairwise(edges)))
    assert made.text("stdout") == "from the shell\né中😀0123 no token"
    assert made.text("stderr") == "oops\n"
    assert "".join(chunk.text for chunk in chunks if chunk.stream == "stdout") == made.text("stdout")
    assert TOKEN not in "".join(chunk.text for chunk in chunks)
    assert made.files == (File("out/a.bin", bytes(range(5))),)
    assert (made.end.code, made.end.wall_s, made.left_out, made.truncated) == (3, 1.5, 2, False)


@given(st.lists(st.tuples(st.sampled_from("oefdx"), st.lists(st.text(max_size=40), max_size=8)), max_size=20))
def test_no_line_with_the_right_token_breaks_it_or_its_bounds(lines):
    made, _ = report(*(line(kind, *words) for kind, words in lines))
    assert len(made.text("stdout").encode()) <= 3 * LIMITS.output_bytes  # a lost byte becomes three of U+FFFD
    assert len(made.files) <= LIMITS.files
    ended = result(REQUEST, BOUNDS, None, Heard(Stage(code=0), made, 0.1), stopped=False)
    assert ended.status in RunStatus


def test_files_over_the_bounds_of_odd_names_and_of_wrong_sizes_are_left_out():
    whole = line("f", encoded(b"good"), 1) + line("d", encoded(b"g"))
    bad = [
        line("f", encoded(b"../up"), 1) + line("d", encoded(b"x")),
        line("f", encoded(b"good"), 1) + line("d", encoded(b"x")),
        line("f", encoded(b"short"), 5) + line("d", encoded(b"x")),
        line("f", encoded(b"long"), 1) + line("d", encoded(b"xx")),
        line("f", encoded(b"big"), 101) + line("d", encoded(b"x")),
        line("f", encoded(b"less"), -1),
        line("f", encoded(b"\xff"), 1),
        line("d", encoded(b"of nothing")),
    ]
    made, _ = report(whole, *bad)
    assert made.files == (File("good", b"g"),)
    assert made.left_out == 7


def test_output_over_the_limit_is_cut_whoever_wrote_it():
    for flood in (line("o", encoded(b"x" * 1001)), "x" * 1001, line("o", "A" * 200_000)):
        made, _ = report(flood)
        assert (len(made.text("stdout")), made.flooded) == (1000, True)


def test_numbers_that_no_measurement_gives_are_bounded():
    huge = "9" * 4000
    made, _ = report(line("x", 0, "-", huge, huge, huge, "-", huge), line("f", encoded(b"x"), huge))
    assert max(made.end.wall_s, made.end.cpu_s, made.end.memory_bytes, made.left_out) < 10**16
    made, _ = report(line("x", 0, "-", -5, -5, -5, "-", -5))
    assert (made.end.wall_s, made.end.cpu_s, made.end.memory_bytes, made.left_out) == (0, 0, 0, 0)


def test_a_line_that_never_ends_is_output():
    made, _ = report(*["x" * 10_000] * 30, limits=Limits())
    assert made.text("stdout") == "x" * 300_000
    made, _ = report(TOKEN + " o " + "A" * 300_000, limits=Limits())
    assert len(made.text("stdout")) > 100_000


def ended(*pieces: str, stage: Stage, wall_s: float = 1.0, stopped: bool = False) -> RunStatus:
    made, _ = report(*pieces)
    return result(REQUEST, BOUNDS, None, Heard(stage, made, wall_s), stopped).status


def test_a_supervisor_that_was_silenced_leaves_pistons_word():
    killed = Stage(signal="SIGKILL")
    assert ended(stage=killed) is RunStatus.SIGNAL
    assert ended(stage=killed, wall_s=35.0) is RunStatus.TIMEOUT
    assert ended(stage=killed, stopped=True) is RunStatus.CANCELLED
    assert ended(stage=Stage(code=0)) is RunStatus.OK
    assert ended(stage=Stage(code=139)) is RunStatus.SIGNAL


def test_a_program_killed_near_its_memory_limit_was_killed_for_memory():
    def end(code: object, signal: object, memory: int) -> RunStatus:
        return ended(line("x", code, signal, 1, 1, memory, "-", 0), stage=Stage(code=137))

    assert end("-", 9, 900_000_000) is RunStatus.MEMORY
    assert end(137, "-", 900_000_000) is RunStatus.MEMORY, "a shell's child was"
    assert end("-", 9, 50_000_000) is RunStatus.SIGNAL
    assert end(137, "-", 50_000_000) is RunStatus.FAILED
    assert end("-", 25, 50_000_000) is RunStatus.FILE_LIMIT
