"""The same small programs in every language, for the suite that runs them all."""

from dataclasses import dataclass, field

from codecoach.runner.port import File


@dataclass(frozen=True)
class Programs:
    """Sources of one language.

    hello      prints `grüß dich, 世界 😀`
    echo       prints its input, then its arguments, each on a line
    several    prints what `more` gives it: `ja`
    more       the file beside it
    exits      ends with exit code 7
    fails      fails at its line 3; `failure` is part of what it then says
    wrong      does not compile because of its line 3; empty where there is no such thing before the run
    endless    prints `on` on a line, then never ends
    hoards     takes memory without end
    floods     prints without end
    writes     leaves `out.txt` with `grüß` in it
    draws      leaves a picture, `plot.png` or `plot.gif`
    """

    hello: str
    echo: str
    several: str
    more: File
    exits: str
    fails: str
    failure: tuple[str, ...]
    endless: str
    hoards: str
    floods: str
    writes: str
    draws: str
    wrong: str = ""
    wrongness: tuple[str, ...] = field(default=())


def go_main(body: str, *packages: str) -> str:
    """A Go program of one function, which uses `fmt` and these packages."""
    imports = "\n".join(f'import "{name}"' for name in ("fmt", *packages))
    return f"package main\n\n{imports}\n\nfunc main() {{\n{body}\n}}\n"


# A picture of one point, for languages that have nothing to draw with.
POINT = "47494638396101000100800000000000ffffff2c00000000010001000002024401003b"
# Three bars, row by row, each led by the byte that says how it is packed: what the pixels of a PNG are.
NODE_PLOT = """
const pixels = Array.from({ length: 30 }, (_, y) => [0, ...Array.from({ length: 30 }, (_, x) => (30 - y > [9, 25, 17][Math.floor(x / 10)] ? 255 : 80))]).flat();
const four = (n) => { const bytes = Buffer.alloc(4); bytes.writeUInt32BE(n); return bytes; };
const chunk = (kind, data) => { const named = Buffer.concat([Buffer.from(kind), data]); return Buffer.concat([four(data.length), named, four(crc32(named))]); };
const head = Buffer.concat([four(30), four(30), Buffer.from([8, 0, 0, 0, 0])]);
const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
writeFileSync('plot.png', Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.from(pixels))), chunk('IEND', Buffer.alloc(0))]));
"""
NODE_IMPORTS = "import { writeFileSync } from 'node:fs';\nimport { crc32, deflateSync } from 'node:zlib';\n"
PHP_PLOT = """<?php
$pixels = '';
for ($y = 0; $y < 30; $y++) {
    $pixels .= "\\0";
    for ($x = 0; $x < 30; $x++) $pixels .= chr(30 - $y > [9, 25, 17][intdiv($x, 10)] ? 255 : 80);
}
$chunk = fn($kind, $data) => pack('N', strlen($data)) . $kind . $data . pack('N', crc32($kind . $data));
$head = pack('NNC5', 30, 30, 8, 0, 0, 0, 0);
file_put_contents('plot.png', "\\x89PNG\\r\\n\\x1a\\n" . $chunk('IHDR', $head) . $chunk('IDAT', gzcompress($pixels)) . $chunk('IEND', ''));
"""
GO_PLOT = """
plot := image.NewGray(image.Rect(0, 0, 30, 30))
for x := 0; x < 30; x++ {
	for y := 0; y < []int{9, 25, 17}[x/10]; y++ {
		plot.SetGray(x, 29-y, color.Gray{200})
	}
}
file, _ := os.Create("plot.png")
if png.Encode(file, plot) == nil {
	fmt.Print()
}
"""

PROGRAMS = {
    "python": Programs(
        hello="print('grüß dich, 世界 😀')",
        echo="import sys\nprint(sys.stdin.read().rstrip())\nprint(*sys.argv[1:], sep='\\n')",
        several="from more import word\nprint(word)",
        more=File("more.py", b"word = 'ja'"),
        exits="raise SystemExit(7)",
        fails="a = 1\nb = 0\nprint(a / b)",
        failure=("ZeroDivisionError", "line 3"),
        endless="print('on')\nwhile True: pass",
        hoards="kept = []\nwhile True: kept.append('x' * 10_000_000)",
        floods="while True: print('x' * 100)",
        writes="open('out.txt', 'w').write('grüß')",
        draws="import matplotlib.pyplot as plt\nplt.bar(['a', 'b', 'c'], [9, 25, 17])\nplt.savefig('plot.png')",
    ),
    "javascript": Programs(
        hello="console.log('grüß dich, 世界 😀');",
        echo="import { readFileSync } from 'node:fs';\nconsole.log(readFileSync(0, 'utf8').trim());\nfor (const word of process.argv.slice(2)) console.log(word);",
        several="import { word } from './more.mjs';\nconsole.log(word);",
        more=File("more.mjs", b"export const word = 'ja';"),
        exits="process.exit(7);",
        fails="const a = {};\nconst b = 'c';\na[b].d();",
        failure=("TypeError", "main.mjs:3"),
        endless="console.log('on');\nwhile (true);",
        hoards="const kept = [];\nwhile (true) kept.push(Buffer.alloc(10_000_000, 1));",
        floods="import { writeSync } from 'node:fs';\nwhile (true) writeSync(1, 'x'.repeat(100) + '\\n');",
        writes="import { writeFileSync } from 'node:fs';\nwriteFileSync('out.txt', 'grüß');",
        draws=NODE_IMPORTS + NODE_PLOT,
    ),
    "typescript": Programs(
        hello="const names: string[] = ['世界 😀'];\nfor (const name of names) console.log(`grüß dich, ${name}`);",
        echo="import { readFileSync } from 'node:fs';\nconsole.log(readFileSync(0, 'utf8').trim());\nfor (const word of process.argv.slice(2)) console.log(word);",
        several="import { type Word, word } from './more';\nconst told: Word = word;\nconsole.log(told);",
        more=File("more.ts", b"export type Word = string;\nexport const word: Word = 'ja';"),
        exits="process.exit(7);",
        fails="interface A { b: any }\nconst a: A = { b: undefined };\na.b.d();",
        failure=("TypeError", "main.ts:3"),
        endless="console.log('on');\nwhile (true);",
        hoards="const kept: Buffer[] = [];\nwhile (true) kept.push(Buffer.alloc(10_000_000, 1));",
        floods="import { writeSync } from 'node:fs';\nwhile (true) writeSync(1, 'x'.repeat(100) + '\\n');",
        writes="import { writeFileSync } from 'node:fs';\nwriteFileSync('out.txt', 'grüß');",
        draws=NODE_IMPORTS
        + NODE_PLOT.replace("= (n)", "= (n: number)").replace("(kind, data)", "(kind: string, data: Buffer)"),
    ),
    "go": Programs(
        hello=go_main('fmt.Println("grüß dich, 世界 😀")'),
        echo=go_main(
            "text, _ := io.ReadAll(os.Stdin)\nfmt.Println(strings.TrimSpace(string(text)))\nfor _, word := range os.Args[1:] {\nfmt.Println(word)\n}",
            "io",
            "os",
            "strings",
        ),
        several=go_main("fmt.Println(word)"),
        more=File("more.go", b'package main\n\nconst word = "ja"'),
        exits=go_main("defer fmt.Println()\nos.Exit(7)", "os"),
        fails="package main\n\nfunc main() { var a []int; println(a[len(a)]) }",
        failure=("index out of range", "main.go:3"),
        wrong="package main\n\nfunc main() { undefined() }",
        wrongness=("main.go:3", "undefined"),
        endless=go_main('fmt.Println("on")\nfor {\n}'),
        hoards=go_main(
            "var kept [][]byte\nfor {\nkept = append(kept, bytes.Repeat([]byte{1}, 10_000_000))\nif len(kept) < 0 {\nfmt.Println()\n}\n}",
            "bytes",
        ),
        floods=go_main('for {\nfmt.Println(strings.Repeat("x", 100))\n}', "strings"),
        writes=go_main('fmt.Print()\nos.WriteFile("out.txt", []byte("grüß"), 0o644)', "os"),
        draws=go_main(GO_PLOT, "image", "image/color", "image/png", "os"),
    ),
    "rust": Programs(
        hello='fn main() {\n    println!("grüß dich, 世界 😀");\n}',
        echo='use std::io::Read;\nfn main() {\n    let mut text = String::new();\n    std::io::stdin().read_to_string(&mut text).unwrap();\n    println!("{}", text.trim());\n    for word in std::env::args().skip(1) { println!("{word}"); }\n}',
        several='mod more;\nfn main() { println!("{}", more::WORD); }',
        more=File("more.rs", b'pub const WORD: &str = "ja";'),
        exits="fn main() { std::process::exit(7); }",
        fails='fn main() {\n    let words: Vec<&str> = std::env::args().map(|_| "a").collect();\n    println!("{}", words[5]);\n}',
        failure=("index out of bounds", "main.rs:3"),
        endless='fn main() {\n    println!("on");\n    loop { std::hint::spin_loop(); }\n}',
        hoards="fn main() {\n    let mut kept = Vec::new();\n    loop { kept.push(vec![1u8; 10_000_000]); }\n}",
        floods='fn main() {\n    loop { println!("{}", "x".repeat(100)); }\n}',
        writes='fn main() {\n    std::fs::write("out.txt", "grüß").unwrap();\n}',
        draws=f'fn main() {{\n    let hex = "{POINT}";\n    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();\n    std::fs::write("plot.gif", bytes).unwrap();\n}}',
        wrong='fn main() {\n    let a: u32 = 1;\n    let b: String = a;\n    println!("{b}");\n}',
        wrongness=("E0308", "main.rs:3"),
    ),
    "php": Programs(
        hello='<?php\necho "grüß dich, 世界 😀\\n";',
        echo="<?php\necho trim(stream_get_contents(STDIN)), PHP_EOL, implode(PHP_EOL, array_slice($argv, 1)), PHP_EOL;",
        several="<?php\nrequire 'more.php';\necho word(), PHP_EOL;",
        more=File("more.php", b"<?php\nfunction word(): string { return 'ja'; }"),
        exits="<?php\nexit(7);",
        fails="<?php\n$a = null;\n$a->b();",
        failure=("Call to a member function b() on null", "main.php:3"),
        endless="<?php\necho 'on', PHP_EOL;\nwhile (true);",
        hoards="<?php\n$kept = [];\nwhile (true) $kept[] = str_repeat('x', 10_000_000);",
        floods="<?php\nwhile (true) echo str_repeat('x', 100), PHP_EOL;",
        writes="<?php\nfile_put_contents('out.txt', 'grüß');",
        draws=PHP_PLOT,
    ),
    "bash": Programs(
        hello="echo 'grüß dich, 世界 😀'",
        echo="cat; echo; printf '%s\\n' \"$@\"",
        several=". ./more.sh\necho $word",
        more=File("more.sh", b"word=ja"),
        exits="exit 7",
        fails="set -e\ntrue\nno_such_command",
        failure=("no_such_command: command not found", "line 3"),
        endless="echo on\nwhile :; do :; done",
        hoards="text=xxxxxxxxxxxxxxxx\nwhile :; do text=$text$text; done",
        floods="yes",
        writes="printf grüß >out.txt",
        draws=f"printf \"$(sed 's/../\\\\x&/g' <<<{POINT})\" >plot.gif",
    ),
    "sql": Programs(
        hello=".headers off\n.mode list\nSELECT 'grüß dich, 世界 😀';",
        echo="CREATE TABLE input (line);\n.headers off\n.mode list\n.import /dev/stdin input\nSELECT line FROM input;\nSELECT ?1;\nSELECT ?2;",
        several=".read more.sql\n.headers off\n.mode list\nSELECT word FROM more;",
        more=File("more.sql", b"CREATE TABLE more AS SELECT 'ja' AS word;"),
        exits=".exit 7",
        fails="CREATE TABLE a (b INTEGER NOT NULL);\n\nINSERT INTO a VALUES (NULL);",
        failure=("NOT NULL constraint failed: a.b", "line 3"),
        endless=".headers off\n.mode list\nSELECT 'on';\nWITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n;",
        hoards="CREATE TABLE kept AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT zeroblob(10000000) FROM n;",
        floods=".mode list\nWITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;",
        writes=".output out.txt\n.headers off\n.mode list\n.separator '' ''\nSELECT 'grüß';",
        draws=f".headers off\n.output /dev/null\nSELECT writefile('plot.gif', x'{POINT}');",
    ),
    "lua": Programs(
        hello="print('grüß dich, 世界 😀')",
        echo="print((io.read('a'):gsub('%s+$', '')))\nfor _, word in ipairs(arg) do print(word) end",
        several="print((require('more')))",
        more=File("more.lua", b"return 'ja'"),
        exits="os.exit(7)",
        fails="local a = {}\nlocal b = 'c'\nprint(a[b].d)",
        failure=("attempt to index a nil value", "main.lua:3"),
        endless="print('on')\nwhile true do end",
        hoards="local kept = {}\nwhile true do kept[#kept + 1] = string.rep('x', 10000000) .. #kept end",
        floods="while true do print(string.rep('x', 100)) end",
        writes="local file = io.open('out.txt', 'w')\nfile:write('grüß')\nfile:close()",
        draws=f"local file = io.open('plot.gif', 'wb')\nfile:write((('{POINT}'):gsub('..', function(hex) return string.char(tonumber(hex, 16)) end)))\nfile:close()",
    ),
}
