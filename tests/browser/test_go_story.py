"""A Go program from a chat reply: it is seen to compile, its output as it comes, it can be stopped, and mended."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from codecoach.runner import installed
from codecoach.settings import Settings

from .conftest import RunningApp, sign_in, start_app, stop_app

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not installed.installed(Settings().cache_dir, "go"),
        reason="the runtime is not installed: codecoach runtimes install go",
    ),
]

LINES = 12
BUCKETS = f"""package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {{
	cfg, err := config.LoadDefaultConfig(context.TODO())
	if err != nil {{
		log.Fatal(err)
	}}
	found, err := s3.NewFromConfig(cfg).ListBuckets(context.TODO(), &s3.ListBucketsInput{{}})
	if err != nil {{
		log.Fatal(err)
	}}
	for _, bucket := range found.Buckets {{
		fmt.Println("Bucket:", aws.ToString(bucket.Name))
	}}
	for n := 1; n <= {LINES}; n++ {{
		fmt.Printf("Looked %d times\\n", n)
		time.Sleep(300 * time.Millisecond)
	}}
}}
"""
ENDLESS = """package main

import (
	"fmt"
	"time"
)

func main() {
	for n := 1; ; n++ {
		fmt.Printf("Looked %d times\\n", n)
		time.Sleep(300 * time.Millisecond)
	}
}
"""
WRONG = """package main

import "fmt"

func main() {
	buckets := 3
	fmt.Println(bucket)
}
"""
# Each text that the page has shown, in order: what comes and goes between two looks of a test is in it too.
REMEMBER = """
window.shown = [];
new MutationObserver(() => {
    const now = document.querySelector("[data-testid=stApp]")?.textContent ?? "";
    if (now !== window.shown.at(-1)) window.shown.push(now);
}).observe(document, {subtree: true, childList: true, characterData: true});
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory, bedrock):
    # However slow the machine is, a program ends because it is over or was stopped.
    running = start_app(tmp_path_factory.mktemp("app"), bedrock_endpoint_url=bedrock.url, run_timeout_s="600")
    yield running
    stop_app(running)


@pytest.fixture
def chat(app: RunningApp, page: Page, request: pytest.FixtureRequest) -> Page:
    """The Chat page of a user of one's own."""
    name = re.sub(r"\W+", "-", request.node.name)[:40].lower().strip("-")
    app.add_account(f"{name}@example.com")
    page.add_init_script(REMEMBER)
    page.goto(f"{app.url}/Chat")
    sign_in(page, f"{name}@example.com")
    expect(page.get_by_text("What shall we build?")).to_be_visible()
    return page


def run(bedrock, page: Page, program: str) -> None:
    """Have the model answer with a program, and press Run."""
    bedrock.engine.say(f"Here it is.\n\n```go\n{program}```\n\nThat was all.")
    page.get_by_placeholder("Ask for code").fill("In Go, please")
    page.get_by_placeholder("Ask for code").press("Enter")
    expect(page.get_by_text("That was all.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()


def outcome(page: Page, word: str) -> Locator:
    return page.locator(".stMarkdownBadge", has_text=word)


def first_shown(page: Page, text: str) -> int:
    """The place, among all that the page has shown, where a text first appears."""
    shown = page.evaluate("window.shown")
    return next(place for place, seen in enumerate(shown) if text in seen)


def test_a_program_is_seen_to_compile_then_prints_line_by_line_and_lists_the_simulated_buckets(bedrock, chat):
    run(bedrock, chat, BUCKETS)
    expect(outcome(chat, "Finished")).to_be_visible()
    expect(chat.get_by_text("Bucket: demo-uploads")).to_be_visible()
    expect(chat.get_by_text(f"Looked {LINES} times")).to_be_visible()
    seen = ["Compiling Go", "Running Go", "Looked 1 times", f"Looked {LINES} times"]
    places = [first_shown(chat, text) for text in seen]
    assert places == sorted(places)
    assert places[0] < places[1]
    # Line by line: not the whole output at once, nor in two pieces.
    lines = {first_shown(chat, f"Looked {n} times") for n in range(1, LINES + 1)}
    assert len(lines) > 2
    expect(chat.get_by_text("exit code 0 · ").filter(has_text="compiler ")).to_be_visible()
    expect(chat.get_by_role("button", name="Fix")).to_have_count(0)


def test_a_program_without_end_is_ended_by_stop_and_what_it_printed_stays(bedrock, chat):
    run(bedrock, chat, ENDLESS)
    expect(chat.get_by_text("Looked 3 times")).to_be_visible()
    chat.get_by_role("button", name="Stop").click()
    expect(outcome(chat, "Stopped")).to_be_visible()
    expect(chat.get_by_text("Looked 3 times")).to_be_visible()
    expect(chat.get_by_role("button", name="Stop")).to_have_count(0)
    expect(chat.get_by_role("button", name="Fix")).to_have_count(0)
    chat.get_by_role("button", name="Run", exact=True).click()
    expect(chat.get_by_text("Running Go")).to_be_visible()
    chat.get_by_role("button", name="Stop").click()
    expect(outcome(chat, "Stopped")).to_be_visible()


def test_what_the_compiler_says_is_shown_with_its_line_and_goes_to_the_model_for_a_fix(bedrock, chat):
    run(bedrock, chat, WRONG)
    expect(outcome(chat, "Did not compile")).to_be_visible()
    expect(chat.locator("code.language-go")).to_have_css("tab-size", "4")
    expect(chat.get_by_text("main.go:7:14: undefined: bucket")).to_be_visible()
    expect(chat.get_by_text("main.go:6:2: declared and not used: buckets")).to_be_visible()
    corrected = WRONG.replace("(bucket)", "(buckets)")
    bedrock.engine.say(f"The name lacked its last letter.\n\n```go\n{corrected}```\n")
    chat.get_by_role("button", name="Fix").click()
    expect(chat).to_have_url(re.compile("/Editor"))
    expect(chat.get_by_text("The name lacked its last letter.")).to_be_visible()
    assert "main.go:7:14: undefined: bucket" in str(bedrock.engine.requests[-1])
    chat.get_by_role("button", name="Apply").click()
    chat.get_by_role("button", name="Run", exact=True).click()
    expect(outcome(chat, "Finished")).to_be_visible()
