"""What models, programs and strangers send does no harm in a real browser, over real sockets."""

import http.client
import re
import secrets
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from .conftest import RunningApp, session_cookie, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

TRACKER = "http://tracker.test"
HARM = f"""Before. <script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">

<iframe src="{TRACKER}/frame"></iframe> <svg onload="window.hacked = 1"></svg> <link rel=prefetch href="{TRACKER}/link">
<style>@import url({TRACKER}/style)</style> <video src="{TRACKER}/video" autoplay></video>

![pixel]({TRACKER}/pixel.png) ![by name][there] `x` ![later]({TRACKER}/later.png "title")

[there]: {TRACKER}/name.png

[run it](javascript:window.hacked=1) [mixed](JaVaScRiPt:window.hacked=1) [data](data:text/html,<script>window.hacked=1</script>)

[https://aws.amazon.com/s3]({TRACKER}/phish) [AWS console]({TRACKER}/console)

:material/home: :streamlit: :red[red] $\\href{{javascript:window.hacked=1}}{{x}}$ $$\\def\\a{{\\a\\a}}\\a \\includegraphics{{{TRACKER}/tex.png}}$$

```python
if access != 'user\u202e \u2066# Check if admin\u2069 \u2066':
    print("You are an admin.")
```

After.
"""
TITLE = f"<img src=x onerror=window.hacked=1> ![p]({TRACKER}/title.png) :material/home: \u202eabc"


@pytest.fixture
def requests(page: Page) -> list[str]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    return asked


def test_an_answer_full_of_harm_is_read_and_nothing_else(app: RunningApp, bedrock, page, requests):
    app.add_account("*ann*@example.com")
    bedrock.engine.say(HARM)
    page.goto(f"{app.url}/Chat")
    sign_in(page, "*ann*@example.com")
    page.get_by_placeholder("Ask for code").fill(TITLE)
    page.get_by_placeholder("Ask for code").press("Enter")
    expect(page.get_by_text("After.")).to_be_visible()
    expect(page.get_by_text("Invisible characters in line 1 turn the direction of reading")).to_be_visible()
    expect(page.get_by_role("button", name="*ann*@example.com")).to_be_visible()
    page.reload()  # drawn anew, as a whole
    expect(page.get_by_text("After.")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert [
        url for url in requests if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(app.url)
    ] == []
    links = page.eval_on_selector_all("a", "found => found.map(one => [one.innerText, one.getAttribute('href') || ''])")
    assert [href for _, href in links if re.match(r"\s*(javascript|data|vbscript):", href, re.IGNORECASE)] == []
    assert ["AWS console", f"{TRACKER}/console"] in links
    assert [(text, href) for text, href in links if "aws.amazon.com" in text and "tracker" in href] == []
    expect(page.get_by_text("https://aws.amazon.com/s3")).to_be_visible()
    for shown in (":material/home:", ":streamlit:", ":red[red]"):
        expect(page.get_by_text(shown).last).to_be_visible()
    assert page.locator(".katex").count() == 0
    assert page.locator("iframe[src*=tracker], img[src*=tracker], video").count() == 0
    assert "\u202e" not in page.get_by_test_id("stSidebar").inner_text()


def asked(app: RunningApp, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
    """The status of a request whose headers are exactly these."""
    address = urlsplit(app.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": address.netloc, "Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_another_sites_page_gets_no_websocket_no_upload_and_no_cookie(app: RunningApp):
    own = {"Origin": app.url}
    assert asked(app, "GET", "/_stcore/stream", HANDSHAKE | own) == 101
    for origin in ("https://evil.example", "http://localhost:1", "null", f"{app.url}.evil.example"):
        assert asked(app, "GET", "/_stcore/stream", HANDSHAKE | {"Origin": origin}) == 403
        for path in ("/auth/start", "/auth/end", "/_stcore/upload_file/x/y"):
            method = "PUT" if "upload" in path else "POST"
            assert asked(app, method, path, {"Origin": origin, "x-codecoach": "1"}) == 403


def test_under_another_name_the_app_does_not_answer(app: RunningApp):
    rebound = {"Host": "evil.example:8501"}
    assert asked(app, "GET", "/", rebound) == 403
    assert asked(app, "GET", "/_stcore/stream", HANDSHAKE | rebound | {"Origin": "http://evil.example:8501"}) == 403
    assert asked(app, "GET", "/healthz", {}) == 200


def test_who_is_not_signed_in_uploads_nothing(app: RunningApp, page: Page):
    handshakes: list[str] = []
    page.on("websocket", lambda socket: handshakes.append(socket.url))
    page.goto(f"{app.url}/Editor")
    expect(page.get_by_label("E-mail address")).to_be_visible()
    assert handshakes
    for session in ("x", secrets.token_hex(16), "../x", "%2e%2e"):
        for method in ("PUT", "DELETE"):
            assert asked(app, method, f"/_stcore/upload_file/{session}/y", {"Origin": app.url}, b"x") in (403, 404)


def test_forged_and_edited_cookies_open_nothing_and_anothers_address_opens_ones_own_page(app, chromium):
    ann, bob = (app.add_account(f"{name}@example.com") for name in ("cookie-ann", "cookie-bob"))
    context = chromium.new_context(locale="en-US")
    page = context.new_page()
    page.goto(f"{app.url}/Editor")
    sign_in(page, ann)
    page.get_by_role("button", name="Python").click()
    expect(page.get_by_text("New Python program").first).to_be_visible()
    address, cookie = page.url, session_cookie(context)
    assert "?p=" in address

    other = chromium.new_context(locale="en-US")
    stranger = other.new_page()
    stranger.goto(address)
    sign_in(stranger, bob)
    expect(stranger.get_by_text("This program does not exist")).to_be_visible()
    assert stranger.get_by_text("New Python program").count() == 0
    for value in (cookie["value"][:-1] + "x", cookie["value"].swapcase(), bob, "x" * 3000, "%00", ann):
        other.clear_cookies()
        other.add_cookies([{"name": cookie["name"], "value": value, "url": app.url}])
        stranger.goto(address)
        expect(stranger.get_by_label("E-mail address")).to_be_visible()
    context.close()
    other.close()
