"""The runtimes of all languages, for administrators, who may install those that are missing."""

from typing import Final

import streamlit as st

from codecoach import languages, logs
from codecoach.errors import InputRefused
from codecoach.i18n import Notice
from codecoach.runner import installed
from codecoach.runner.port import Runtime
from codecoach.settings import RunnerKind
from codecoach.store.accounts import Account
from codecoach.ui import acting, notices, session
from codecoach.ui.administration import is_admin
from codecoach.ui.session import services, t

# Text, icon and colour of a language's state.
_BADGES: Final = {
    True: ("settings_page.installed", ":material/check_circle:", "green"),
    False: ("settings_page.not_installed", ":material/do_not_disturb_on:", "gray"),
}
_LOOK_EVERY_S: Final = 1.0
_MB: Final = 1024 * 1024


def draw_runtimes(account: Account) -> None:
    """Draw every language with its runtime. Draws nothing for anybody but an administrator."""
    if not is_admin(account):
        return
    known = services().runner.runtimes()
    blocked = _hinders_all(known)
    if blocked:
        st.error(notices.told(blocked), icon=":material/error:")
    for runtime in known:
        _draw_one(runtime, blocked)
    if services().installations.going_on():
        _look_again()


@st.fragment(run_every=_LOOK_EVERY_S)
def _look_again() -> None:
    """Draw the page anew while something is being installed: its own output, and what is there then."""
    if st.session_state.get("settings:looked"):
        del st.session_state["settings:looked"]
        st.rerun(scope="app")
    st.session_state["settings:looked"] = True


def _hinders_all(known: tuple[Runtime, ...]) -> Notice | None:
    """Why nothing runs at all, where one thing hinders all languages, as a machine without sandboxes does: it is said once."""
    first = known[0].problem if known else None
    return first if all(not runtime.installed and runtime.problem == first for runtime in known) else None


def _draw_one(runtime: Runtime, blocked: Notice | None) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{languages.BY_ID[runtime.language].label}**", width="content")
            text, icon, colour = _BADGES[runtime.installed]
            st.badge(t(text), icon=icon, color=colour)  # type: ignore[arg-type]
        here = services().settings.runner is RunnerKind.SANDBOX
        if runtime.installed:
            st.caption(_facts(runtime, here))
        if runtime.problem and runtime.problem != blocked:
            st.caption(notices.told(runtime.problem))
        if here and not blocked and (not runtime.installed or _has_newer(runtime.language)):
            _draw_installation(runtime.language)


def _has_newer(language: str) -> bool:
    """Whether an older package of the language is installed than there is."""
    there = installed.built(services().settings.cache_dir, language)
    return there is not None and there != installed.known().get(language)


def _facts(runtime: Runtime, here: bool) -> str:
    facts = [notices.plain(fact) for fact in (runtime.version, runtime.sdk) if fact]
    if here:
        facts.append(t("settings_page.on_disk", megabytes=f"{_megabytes(runtime.language):,.0f}"))
    return " · ".join(facts)


def _megabytes(language: str) -> float:
    """The size of a runtime: as its package says, for counting a large one's files takes seconds; else counted."""
    package = installed.built(services().settings.cache_dir, language)
    said = package.disk_mb if package else 0
    return said or installed.size_bytes(services().settings.cache_dir, language) / _MB


def _draw_installation(language: str) -> None:
    package = installed.known().get(language)
    if package is None:
        return
    now = services().installations.of(language)
    if now and now.problem:
        st.error(notices.told(now.problem))
    if now and now.goes_on:
        line = t("settings_page.installing", line=now.line) if now.line else t("settings_page.install_waits")
        st.caption(f":material/hourglass_top: {notices.plain(line)}")
        return
    weight = package.disk_mb
    st.button(
        t("settings_page.install_sized", megabytes=weight) if weight else t("settings_page.install"),
        icon=":material/download:",
        key=f"settings-install-{language}",
        on_click=acting.attempt,
        args=(_install, language),
    )


def _install(language: str) -> None:
    """Have it installed for whoever is an administrator now; the page may have been drawn when they still were one."""
    account = session.account()
    if account is None or not is_admin(account):
        logs.security("refused, who is no administrator", session.username(), warning=True)
        raise InputRefused("not_an_administrator")
    services().installations.start(language)
