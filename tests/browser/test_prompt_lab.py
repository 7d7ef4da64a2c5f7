"""The Prompt Lab in a browser, in both languages: write, fill in, see what travels, answer, save, come back, compare, test."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from codecoach.i18n import Language, text
from codecoach.local.scripted import Reply, Rule, Script, ScriptedServer
from codecoach.services import DATABASE
from codecoach.store.case_sets import CaseSets
from codecoach.store.evaluations import Evaluations
from codecoach.store.sqlite import SqliteTable

from .conftest import WAIT_MS, RunningApp, enter_editor, sign_in

pytestmark = pytest.mark.browser

LOCALES = {Language.EN: "en-US", Language.ZH: "zh-CN"}
SAID = Script(
    (
        Rule("Slowly", Reply(" ".join(f"word{number}" for number in range(400)), token_delay_s=0.05)),
        Rule("Busy", Reply(fault="ThrottlingException"), times=3),
        Rule("cloud in French", Reply("un nuage", input_tokens=12, output_tokens=3)),
        Rule("sun in German", Reply("die Sonne")),
    ),
    Reply("I do not know."),
)


class Lab:
    """The page, by the words of one language."""

    def __init__(self, page: Page, app: RunningApp, language: Language, user: str) -> None:
        self.page, self.app, self.language, self.user = page, app, language, user

    def t(self, key: str, **values: object) -> str:
        return text(self.language, f"lab.{key}", **values)

    def open(self) -> None:
        self.page.goto(f"{self.app.url}/Prompt_Lab")
        sign_in(self.page, self.user)
        expect(self.button("submit")).to_be_visible()

    def write(self, prompt: str) -> None:
        enter_editor(self.page)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(prompt)

    def fill(self, name: str, value: str) -> None:
        field = self.page.get_by_role("textbox", name=name, exact=True)
        field.fill(value)
        field.blur()

    def button(self, key: str, **values: object) -> Locator:
        return self.page.get_by_role(
            "button", name=re.compile(rf"^{re.escape(self.t(key, **values))}( .*(Ctrl|Esc).*)?$")
        )

    def look(self, key: str) -> None:
        self.page.get_by_role("radio", name=self.t(key), exact=True).click()

    def sees(self, words: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(words).first).to_be_visible()


@pytest.fixture(params=list(Language))
def lab(request, chromium, app: RunningApp, bedrock: ScriptedServer):
    bedrock.engine.follow(SAID)
    bedrock.engine.requests.clear()
    context = chromium.new_context(locale=LOCALES[request.param], viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(WAIT_MS)
    user = f"{request.param}-{request.node.name[:24].replace('_', '-')}@example.com"
    app.add_account(user)
    opened = Lab(context.new_page(), app, request.param, user)
    opened.open()
    yield opened
    context.close()


def test_a_prompt_is_written_filled_seen_answered_saved_and_found_again(lab: Lab, bedrock: ScriptedServer) -> None:
    lab.write('Say {word} in {tongue}. Keep {"this": {}}.')
    lab.fill(lab.t("system"), "Be brief.")
    # In order of appearance, and each as soon as it is written.
    lab.fill("word", "cloud")
    lab.sees(re.compile(re.escape(lab.t("unfilled", names="").strip().rstrip(":："))))
    lab.fill("tongue", "French")
    lab.sees('Say cloud in French. Keep {"this": {}}.')

    lab.look("view_request")
    sent = lab.page.locator(".stCode code.language-json, [data-testid=stCode] code").first
    expect(sent).to_contain_text('"anthropic_version"')
    assert json.loads(sent.inner_text())["system"] == "Be brief."
    expect(sent.locator("span[style], span[class]").first).to_be_attached()  # coloured

    lab.button("submit").click()
    lab.sees("un nuage")
    lab.sees(re.compile("12.*3"))
    assert bedrock.requests[-1].turns[-1].text == 'Say cloud in French. Keep {"this": {}}.'
    lab.look("view_raw")
    lab.sees('"requestId"')

    lab.button("save_as").click()
    lab.fill(lab.t("name"), "Words 词")
    lab.button("save_new").click()
    expect(lab.page.get_by_role("heading", name="Words 词")).to_be_visible()
    lab.sees(lab.t("version", number=1))
    lab.fill(lab.t("system"), "Be polite.")
    lab.sees(lab.t("changed"))
    lab.page.reload()
    # A draft survives: what was typed, the answer, and that it is not saved.
    expect(lab.page.get_by_role("textbox", name=lab.t("system"))).to_have_value("Be polite.")
    lab.sees(lab.t("changed"))
    lab.button("save").click()
    lab.sees(lab.t("version", number=2))
    lab.look("view_response")
    lab.sees("un nuage")


def test_stop_keeps_what_came_and_ctrl_enter_submits(lab: Lab) -> None:
    lab.write("Slowly.")
    lab.page.keyboard.press("Control+Enter")
    lab.sees("word7")
    lab.button("stop").click()
    lab.sees(text(lab.language, "chat.stopped"))
    lab.sees("word7")
    expect(lab.page.get_by_text("word399")).to_have_count(0)


def test_while_the_service_limits_requests_a_countdown_is_shown_and_it_goes_on(lab: Lab) -> None:
    lab.write("Busy: say cloud in French")
    lab.button("submit").click()
    counting = re.escape(text(lab.language, "chat.throttled", seconds="#", attempt="#")).replace(re.escape("#"), r"\d+")
    lab.sees(re.compile(counting))
    lab.sees("un nuage")


def test_columns_stream_at_once_and_stop_together(lab: Lab, bedrock: ScriptedServer) -> None:
    lab.write("Slowly {word}.")
    lab.fill("word", "now")
    lab.look("mode_compare")
    lab.page.get_by_role("radio", name="3", exact=True).click()
    lab.button("submit_all").click()
    expect(lab.page.get_by_text(re.compile("word7"))).to_have_count(3)
    lab.button("stop_all").click()
    expect(lab.page.locator(".stMarkdownBadge", has_text=text(lab.language, "chat.stopped"))).to_have_count(3)
    assert len({request.model_id for request in bedrock.requests}) == len(bedrock.requests) == 3


def test_a_test_set_is_imported_tried_and_its_results_looked_at(lab: Lab) -> None:
    lab.write("Say {word} in {tongue}.")
    lab.fill("word", "x")
    lab.look("mode_test")
    lab.button("set_more").click()
    rows = b"word,tongue,expected\ncloud,French,nuage\nsun,German,Mond\n"
    lab.page.locator("input[type=file]").last.set_input_files(
        [{"name": "rows.csv", "mimeType": "text/csv", "buffer": rows}]
    )
    lab.button("start_test", number=2).click()
    lab.sees(lab.t("state_complete"))
    lab.sees(re.compile(re.escape(lab.t("passed", number=1))))
    # Shown below the table, which draws its cells as a picture.
    expect(lab.page.get_by_test_id("stCode").get_by_text("un nuage")).to_be_visible()
    table = SqliteTable(lab.app.data_dir / DATABASE)
    try:
        (head,) = Evaluations(table).list(lab.user)
        assert (head.done, head.passed) == (2, 1)
        assert CaseSets(table).list(lab.user)[0].cases.rows == (("cloud", "French", "nuage"), ("sun", "German", "Mond"))
    finally:
        table.close()
    lab.page.reload()
    lab.look("mode_test")
    lab.sees(lab.t("state_complete"))


@pytest.mark.parametrize("lab", [Language.ZH], indirect=True)
def test_no_label_of_the_lab_is_left_in_english(lab: Lab) -> None:
    english = """() => [...document.querySelectorAll("[aria-label],[title],[placeholder]")].flatMap(element =>
      ["aria-label", "title", "placeholder"].map(name => element.getAttribute(name) ?? "")
    ).filter(text => /[A-Za-z]{3}/.test(text) && !/[\\u4e00-\\u9fff]/.test(text) && !/^\\w+ icon$/.test(text))"""
    known = {"target_language", "text", "expected", "JSON Schema", "max_tokens", "temperature", "top_p", "top_k"}
    for mode, shown in (("mode_prompt", "submit"), ("mode_compare", "submit_all"), ("mode_test", "new_set")):
        lab.look(mode)
        expect(lab.button(shown)).to_be_visible()
        lab.page.wait_for_timeout(1_000)
        left = [words for words in lab.page.evaluate(english) if words not in known and "anthropic" not in words]
        assert left == [], mode
