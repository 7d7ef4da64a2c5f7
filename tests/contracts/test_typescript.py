"""TypeScript runs at once, is checked beside that, and is taken as people write it."""

import uuid

import pytest

from codecoach.runner import installed
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

pytestmark = pytest.mark.skipif(
    not installed.installed(CACHE_DIR, "typescript"),
    reason="the runtime is not installed: codecoach runtimes install typescript",
)


@pytest.fixture(scope="module")
def runner():
    made = sandbox()
    yield made
    made.close()


def run(runner, source: str, *more: File) -> RunResult:
    files = (File("main.ts", source.encode()), *more)
    return result(runner, RunRequest(uuid.uuid4().hex, "typescript", files, limits=Limits(timeout_s=120)))


# Of programs that import nothing, which are checked against a library without comments: wrong by names of each part of it.
LIBRARY = {
    "a later overload": ("[1, 2].reduce((sum, n) => sum + n, 'a').toFixed()", "main.ts(2,41): error TS2551"),
    "a generic": ("new Map<string, number>().set('a', 'b')", "main.ts(2,36): error TS2345"),
    "a promise": ("const n: string = await Promise.resolve(1)", "main.ts(2,7): error TS2322"),
    "a text's method": ("'a'.padStart('b')", "main.ts(2,14): error TS2345"),
    "an iterator's helper": ("[1].values().map((n: string) => n)", "main.ts(2,18): error TS2345"),
    "a grouping": ("Object.groupBy([1], (n) => n.length)", "main.ts(2,30): error TS2339"),
    "a disposable": ("using x = 1", "main.ts(2,11): error TS2850"),
}


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("const n: number = 'a';\nconsole.log('ran');", "main.ts(1,7): error TS2322"),
        ("console.log('ran', process.argv.lenght);", "main.ts(1,33): error TS2551"),
        (
            "import { type Bucket } from '@aws-sdk/client-s3';\nconst bucket: Bucket = { Nme: 'b' };\nconsole.log('ran', bucket);",
            "main.ts(2,26): error TS2561",
        ),
        (
            "import { S3Client, ListBucketsCommand } from '@aws-sdk/client-s3';\nconst list = async (s3: S3Client) => (await s3.send(new ListBucketsCommand({}))).Bukets;\nconsole.log('ran', list);",
            "main.ts(2,82): error TS2551",
        ),
        *((f"async () => {{\n{wrong};\n}};\nconsole.log('ran');", error) for wrong, error in LIBRARY.values()),
    ],
    ids=["no imports", "Node's own names", "a type of the SDK", "an answer of the SDK", *LIBRARY],
)
def test_type_errors_are_told_and_the_program_runs_all_the_same(runner, source, error):
    ended = run(runner, source)
    assert ended.status is RunStatus.OK
    assert ended.run.stdout.startswith("ran")
    assert error in ended.run.stderr


def test_a_program_without_type_errors_is_told_nothing(runner):
    source = (
        "import { readdir } from 'node:fs/promises';\nimport { S3Client } from '@aws-sdk/client-s3';\n"
        "const s3 = new S3Client({ region: 'us-east-1' });\nsetTimeout(() => console.log(typeof s3, process.pid > 0), 1);\n"
        "console.table((await readdir('.')).filter((name: string) => name === 'none'));\nexport {};"
    )
    ended = run(runner, source)
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, "")
    assert "object true" in ended.run.stdout


def test_what_types_alone_cannot_take_out_is_translated(runner):
    source = """
enum Color { Red = 'red' }
namespace Words { export const word = 'ja'; }
class Box { constructor(private readonly inside: string) {} open() { return this.inside; } }
function told(target: unknown, key: string): void { console.log('decorated', key); }
class Told { @told method(): void {} }
console.log(Color.Red, Words.word, new Box('b').open(), new Told() satisfies Told instanceof Told);
"""
    ended = run(runner, source)
    assert (ended.run.stdout, ended.run.stderr) == ("decorated method\nred ja b true\n", "")


def test_a_program_that_is_no_typescript_is_told_where(runner):
    ended = run(runner, "const a = 1;\nconst b: = 2;\nconsole.log(a, b);")
    assert (ended.status, ended.run.stdout) == (RunStatus.FAILED, "")
    assert "main.ts:2:10" in ended.run.stderr


STYLES = {
    "without extensions": "import { word } from './lib/more';\nimport { S3 } from '@aws-sdk/client-s3';\nconsole.log(word, typeof S3);",
    "extensions of what would be compiled": "import { word } from './lib/more.js';\nimport { S3 } from '@aws-sdk/client-s3';\nconsole.log(word, typeof S3);",
    "CommonJS": "const { word } = require('./lib/more');\nconst { S3 } = require('@aws-sdk/client-s3');\nif (require.main === module) console.log(word, typeof S3);",
    "both": "import { word } from './lib/more';\nconst { S3 } = require('@aws-sdk/client-s3');\nif (require.main === module) console.log(word, typeof S3, __filename ? '' : 'no name');",
}


@pytest.mark.parametrize("style", STYLES)
def test_programs_may_import_or_require_with_any_extension(runner, style):
    ended = run(runner, STYLES[style], File("lib/more.ts", b"export const word: string = 'ja';"))
    assert (ended.run.stdout.strip(), ended.run.stderr) == ("ja function", "")


def test_a_worker_has_its_own_names_and_the_end_still_waits_for_the_check(runner):
    source = """
import { Worker } from 'node:worker_threads';
const worker = new Worker(new URL('./more.ts', import.meta.url));
worker.on('message', (said: string) => console.log(said));
const wrong: number = 'a';
"""
    more = b"import { parentPort } from 'node:worker_threads';\nparentPort!.postMessage(`worker ${typeof __filename}`);"
    ended = run(runner, source, File("more.ts", more))
    assert ended.run.stdout == "worker undefined\n"
    assert "main.ts(5,7): error TS2322" in ended.run.stderr
