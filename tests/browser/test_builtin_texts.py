"""What Streamlit itself says is Chinese where the interface is, and what people and models wrote stays as it is."""

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import WAIT_MS, RunningApp, sign_in

pytestmark = pytest.mark.browser

USER = "wen@example.com"
# Attributes that are read aloud or shown. Material's icons are named for nobody: Streamlit gives them no other label.
ENGLISH = """() => [...document.querySelectorAll("[aria-label],[title],[placeholder]")].flatMap(element =>
  ["aria-label", "title", "placeholder"].map(name => element.getAttribute(name) ?? "")
).filter(text => /[A-Za-z]{3}/.test(text) && !/[\\u4e00-\\u9fff]/.test(text) && !/^\\w+ icon$/.test(text))"""


@pytest.fixture
def page(chromium, app: RunningApp) -> Page:
    context = chromium.new_context(locale="zh-CN", viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def _account(app: RunningApp) -> None:
    app.add_account(USER)


@pytest.fixture
def signed_in(_account: None, app: RunningApp, page: Page) -> Page:
    page.goto(f"{app.url}/Settings")
    sign_in(page, USER)
    expect(page.get_by_role("button", name=USER)).to_be_visible()
    return page


def test_the_language_chosen_holds_for_streamlits_own_texts_without_a_reload(app, page):
    page.goto(app.url)
    expect(page.get_by_role("button", name="显示密码")).to_be_visible()
    page.get_by_role("button", name="显示密码").click()
    expect(page.get_by_role("button", name="隐藏密码")).to_be_visible()
    page.get_by_role("radio", name="English").click()
    expect(page.get_by_role("button", name="Hide password")).to_be_visible()
    page.get_by_role("radio", name="中文").click()
    expect(page.get_by_role("button", name="隐藏密码")).to_be_visible()


def test_no_page_has_a_label_left_in_english(app, signed_in):
    for path, shown in (
        ("", "开始使用"),
        ("Chat", "今天想做点什么"),
        ("Editor", "编写程序并运行"),
        ("Settings", "选择模型"),
    ):
        signed_in.goto(f"{app.url}/{path}")
        expect(signed_in.get_by_text(shown).first).to_be_visible()
        expect(signed_in.locator("[aria-label=收起侧边栏]")).to_be_attached()
        signed_in.wait_for_function(f"() => ({ENGLISH})().length === 0")


def test_a_search_without_results_says_so_in_chinese(signed_in):
    picker = signed_in.get_by_role("combobox")
    picker.click()
    picker.fill("there is none")
    expect(signed_in.get_by_text("没有结果", exact=True)).to_be_visible()


def test_what_a_model_answers_is_not_touched(app, bedrock, signed_in):
    signed_in.goto(f"{app.url}/Chat")
    bedrock.engine.say("Close")
    question = signed_in.get_by_test_id("stChatInput").locator("textarea")
    question.fill("Connection error")
    question.press("Enter")
    expect(signed_in.get_by_test_id("stChatMessage").get_by_text("Close", exact=True)).to_be_visible()
    expect(signed_in.get_by_test_id("stChatMessage").get_by_text("Connection error", exact=True)).to_be_visible()


def test_a_lost_connection_is_said_in_chinese(app, page):
    page.goto(app.url)
    expect(page.get_by_role("button", name="显示密码")).to_be_visible()
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('div'), {textContent: 'Connection error'}))"
    )
    expect(page.get_by_text(re.compile("^连接出错$"))).to_be_visible()
