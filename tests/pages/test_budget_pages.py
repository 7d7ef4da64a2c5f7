"""Budgets on the pages: what was used is shown, a warning comes in time, and what does not fit is refused before it is sent."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.errors import ModelThrottled
from codecoach.i18n import Language
from codecoach.lab.cases import Cases, Check
from codecoach.lab.evaluation import EvaluationState, Plan, Variant
from codecoach.lab.sheet import Parameters, Sheet
from codecoach.local.scripted import Reply, Script, ScriptedServer
from codecoach.models import payloads
from codecoach.models.clients import clients
from codecoach.models.laboratory import Laboratory
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store import keys
from codecoach.store.budgets import Budget
from codecoach.store.port import Item, Put
from codecoach.store.programs import RunRecord, SourceFile
from codecoach.store.usage import NOTHING, Call, Spent, UsageBook
from codecoach.ui.settings_everybody import as_csv
from tests.pages.conftest import ROOT, lose_store, open_page, texts
from tests.replies import eventually

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"  # $1 and $5 per million
FIRST = "first.model-v1"  # the model of the pages' tests; nobody knows its price


@pytest.fixture
def sid(services: Services, user: str) -> str:
    return services.sign_ins.open(user)


def limit(services: Services, user: str, **limits: int) -> None:
    before = services.budgets.get(user)
    services.budgets.put(user, replace(before, **limits), "root@example.com")
    services.meter.forget(user)


def use(services: Services, user: str, tokens: int, model_id: str = HAIKU, conversation_id: str = "") -> Spent:
    """Have something used already this month."""
    month, spent = services.meter.this_month, Spent(tokens, 0, tokens, 1)
    call = Call(f"{time.time_ns()}", user, month, f"{datetime.now(UTC).day:02d}", model_id, conversation_id)
    book = UsageBook(services.table)
    book.settle(book.hold(call, lambda state: call)[0], spent)
    services.meter.forget(user)
    return spent


def used(services: Services, user: str) -> Spent:
    return services.meter.month(user, services.meter.this_month).total


def ask(test: AppTest, text: str) -> AppTest:
    return test.chat_input[0].set_value(text).run()


def section(test: AppTest, name: str) -> AppTest:
    return test.get("pills")[0].set_value(name).run()


def settings_page(services: Services, who: str, name: str, locale: str = "en-US") -> AppTest:
    return section(open_page("4_Settings", services.sign_ins.open(who), locale), name)


def test_a_reply_says_what_it_cost_and_the_conversation_what_all_did(services, user, sid):
    services.preferences.change(user, model_id=HAIKU)
    test = ask(open_page("1_Chat", sid), "Hello?")
    assert not test.exception
    shown = [caption.value for caption in test.caption]
    assert any("7 tokens in" in caption and "\\$0.000022" in caption for caption in shown)
    assert any(caption.startswith("10 tokens") for caption in shown)
    assert used(services, user) == Spent(7, 3, 22, 1)


def test_a_price_that_nobody_knows_is_said_to_be_unknown(services, user, sid):
    assert "price unknown" in texts(ask(open_page("1_Chat", sid), "Hello?"))
    assert used(services, user) == Spent(7, 3, 0, 1, unpriced=1)
    shown = settings_page(services, user, "usage")
    assert "whose price is not known" in texts(shown)
    assert list(shown.dataframe[0].value["US dollars"]) == ["price unknown"]


def test_a_warning_stands_where_one_types_from_its_share_on(services, user, sid):
    limit(services, user, month_tokens=100_000)
    use(services, user, 79_000)
    assert "of your budget" not in texts(open_page("1_Chat", sid))
    use(services, user, 1_000)
    for page in ("1_Chat", "3_Prompt_Lab"):
        assert "80 % of your budget for this month is used: 80,000 of 100,000 tokens" in texts(open_page(page, sid))
    assert "本月预算已用 80%" in texts(open_page("1_Chat", sid, "zh-CN"))


def test_what_does_not_fit_is_refused_before_it_is_sent_and_nothing_typed_is_lost(services, user, sid):
    limit(services, user, month_micro_dollars=1000)
    use(services, user, 1000)
    services.preferences.change(user, model_id=HAIKU)
    test = ask(open_page("1_Chat", sid), "What is S3?")
    assert not test.exception
    said = test.error[0].value
    assert "\\$0.0010 of \\$0.0010 are used" in said
    assert "admin@demo.com" in said.replace("\\", "")
    assert "begins anew on" in said
    assert test.chat_input[0].value == "What is S3?"
    assert services.model.asked == []
    assert services.conversations.list(user).conversations == ()
    assert "本月的预算" in ask(open_page("1_Chat", sid, "zh-CN"), "什么是 S3？").error[0].value


def test_where_only_dollars_are_limited_a_model_of_unknown_price_is_refused_beforehand(services, user, sid):
    limit(services, user, month_micro_dollars=1_000_000)
    test = ask(open_page("1_Chat", sid), "What is S3?")
    said = test.error[0].value.replace("\\", "")
    assert f"The price of {FIRST} is not known" in said
    assert "admin@demo.com" in said
    assert "known price" in said
    assert services.model.asked == []
    assert "价格未知" in ask(open_page("1_Chat", sid, "zh-CN"), "什么是 S3？").error[0].value


def test_a_conversation_has_a_budget_of_its_own(services, user, sid):
    limit(services, user, conversation_tokens=5000)
    test = ask(open_page("1_Chat", sid), "Hello?")
    (talk,) = services.conversations.list(user).conversations
    use(services, user, 4990, conversation_id=talk.id)
    ask(test, "And now?")
    assert "budget of this conversation" in test.error[0].value
    assert len(services.model.asked) == 1
    assert "This conversation's budget is used up" in texts(test)
    assert not ask(open_page("1_Chat", sid), "A new one?").error


def test_a_refused_fix_leaves_the_advice_that_is_there(services, user):
    program = services.programs.create(user, "python", (SourceFile("main.py", "print(1)"),), name="A")
    services.fixer.explain(program, Language.EN, FIRST).join(60)
    limit(services, user, month_tokens=1)
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    test.session_state["codecoach.sid"] = services.sign_ins.open(user)
    test.query_params["p"] = program.id
    test.switch_page("pages/2_Editor.py").run()
    test.button(key="editor:explain").click().run()
    assert "budget" in test.error[0].value
    assert "Hello." in texts(test)


def test_a_refused_reply_that_was_to_be_had_again_stays(services, user, sid):
    test = ask(open_page("1_Chat", sid), "Hello?")
    limit(services, user, month_tokens=1)
    next(button for button in test.button if button.label == "Write it again").click().run()
    assert "budget" in test.error[0].value
    assert "Hello." in texts(test)


def test_the_service_refusing_costs_nothing(services, user, sid):
    services.model.replies.append(ModelThrottled())
    assert ask(open_page("1_Chat", sid), "Hello?").error
    assert used(services, user) == NOTHING


def test_ones_own_month_is_shown_against_its_limit_by_day_and_by_model(services, user):
    limit(services, user, month_micro_dollars=2_000_000, message_tokens=5000)
    use(services, user, 1_500_000)
    test = settings_page(services, user, "usage")
    assert not test.exception
    assert test.get("progress")[0].proto.value == 75
    assert "75 %" in test.get("progress")[0].proto.text
    assert [metric.value for metric in test.metric] == ["\\$1.50", "1,500,000", "1"]
    assert "5,000 tokens at most" in texts(test)
    assert list(test.dataframe[0].value["Model"]) == ["Claude Haiku 4.5"]
    assert len(test.get("arrow_vega_lite_chart") or test.get("vega_lite_chart")) == 1


def test_who_has_used_nothing_and_has_no_limit_is_told_so(services, user):
    shown = texts(settings_page(services, user, "usage", "zh-CN"))
    assert "没有限额" in shown
    assert "没有调用过模型" in shown


def test_an_administrator_sees_everybody_the_dearest_first(services, user, admin):
    use(services, user, 2000)
    use(services, admin, 5000)
    limit(services, user, month_tokens=4000)
    test = settings_page(services, admin, "everybody")
    assert not test.exception
    table = test.dataframe[0].value
    assert list(table["User"]) == [admin, user]
    assert list(table["US dollars"]) == [0.005, 0.002]
    assert "4,000" in table["Limit"][1]
    assert table["Used, %"][1] == 50
    assert "7,000 tokens" in texts(test)
    test.get("button_group")[1].set_value("user").run()
    assert not test.exception


def named_in(caplog, who: str) -> dict[str, str]:
    """{logger: message} of the records that name somebody."""
    return {record.name: record.getMessage() for record in caplog.records if who in record.getMessage()}


def test_who_set_whose_limits_is_told_by_the_audit_and_by_no_other_record(services, user, admin, sid, caplog):
    caplog.set_level("DEBUG", logger="codecoach")
    test = settings_page(services, admin, "everybody")
    test.selectbox(key="everybody-whose").select(user).run()
    test.number_input(key=f"limit.{user}.0.month_tokens").set_value(0)
    test.button(key="everybody-save").click().run()
    assert named_in(caplog, user) == {"codecoach.security": f"limits of {user} set by {admin} (to month_tokens 0)"}


def test_an_administrator_gives_a_user_limits_which_hold_from_the_next_message_on(services, user, admin, sid):
    test = settings_page(services, admin, "everybody")
    test.selectbox(key="everybody-whose").select(user).run()
    test.number_input(key=f"limit.{user}.0.month_tokens").set_value(10)
    test.button(key="everybody-save").click().run()
    assert not test.exception
    assert "are saved" in test.success[0].value
    assert services.budgets.get(user) == Budget(month_tokens=10)
    assert ask(open_page("1_Chat", sid), "Hello?").error
    test.number_input(key=f"limit.{user}.1.month_tokens").set_value(0)
    test.button(key="everybody-save").click().run()
    assert services.budgets.get(user) == Budget(month_tokens=0)
    assert not ask(open_page("1_Chat", sid), "Hello?").error


def test_limits_that_were_changed_elsewhere_meanwhile_are_not_overwritten(services, user, admin):
    test = settings_page(services, admin, "everybody")
    test.selectbox(key="everybody-whose").select(user).run()
    limit(services, user, month_tokens=77)
    test.number_input(key=f"limit.{user}.0.month_tokens").set_value(10)
    test.button(key="everybody-save").click().run()
    assert "changed this meanwhile" in test.error[0].value
    assert services.budgets.get(user).month_tokens == 77


def test_nobody_else_sees_everybody_or_sets_a_limit(services, user, admin):
    use(services, admin, 5000)
    test = open_page("4_Settings", services.sign_ins.open(user))
    assert "Everybody's usage" not in str(test.get("pills")[0].options)
    test.session_state["settings-section"] = "everybody"
    test.session_state["everybody-whose"] = user
    test.session_state[f"limit.{user}.0.month_tokens"] = 0
    test.run()
    assert "root@example.com" not in texts(test)
    assert (len(test.dataframe), len(test.number_input)) == (0, 0)
    assert services.budgets.all() == {}


def test_a_store_that_is_away_takes_no_warning_and_no_page_with_it_and_no_name_into_the_log(
    services, user, sid, caplog
):
    test = open_page("1_Chat", sid)
    lose_store(services)
    caplog.clear()
    assert not test.run().exception
    assert [record for record in caplog.records if "has been used is not known" in record.getMessage()]
    assert named_in(caplog, user) == {}


def test_a_sign_in_name_is_no_formula_in_a_spreadsheet(services, user):
    use(services, user, 5)
    (month,) = services.meter.everybody(services.meter.this_month)
    lines = as_csv([month, replace(month, username="=1+1@example.com")]).decode("utf-8-sig").splitlines()
    assert lines[1] == f"ann@example.com,{month.month},0.000005,5,0,1,0,0"
    assert lines[2].startswith("'=1+1@")


def test_five_hundred_users_take_a_handful_of_reads(services, admin, monkeypatch):
    month = services.meter.this_month
    for hundred in range(5):
        users = [f"user-{hundred}{number:02d}@example.com" for number in range(100)]
        services.table.transact([Put(_used_by(user, month)) for user in users])
    reads = []
    for name in ("get", "batch_get", "query"):
        asked = getattr(services.table, name)
        monkeypatch.setattr(
            services.table, name, lambda *args, asked=asked, **more: reads.append(args) or asked(*args, **more)
        )
    test = settings_page(services, admin, "everybody")
    before = len(reads)
    test.run()
    assert len(test.dataframe[0].value) == 500
    assert len(reads) - before < 10


def _used_by(username: str, month: str) -> Item:
    numbers = [10, 10, 60, 1, 0, 0]
    data = {"total": numbers, "models": {HAIKU: numbers}, "days": {"01": numbers}, "held": {}, "guessed": {}}
    return Item(keys.usage(month, username), data)


# --- every way to a model ---

PLAN_SHEET = Sheet("Say {word}.", model_id=HAIKU, parameters=Parameters(50))


def plan(rows: int) -> Plan:
    cases = Cases(
        ("word", "expected"), tuple((f"w{row}", "yes") for row in range(rows)), (Check("judge", model_id=HAIKU),)
    )
    return Plan(cases, (Variant("v", PLAN_SHEET),))


@pytest.fixture
def bedrock(services: Services):
    with ScriptedServer() as running:
        runtime = clients(Settings(bedrock_endpoint_url=running.url)).runtime
        services.__dict__["laboratory"] = Laboratory(runtime, first_pause_s=0.01)
        yield running


def test_whatever_asks_a_model_for_a_user_is_counted(services, user, sid, bedrock):
    """Chat, fix, explain, the test of a model, the Prompt Lab's answer, and a test set with its judge."""
    program = services.programs.create(user, "python", (SourceFile("main.py", "print(x)"),), name="A")
    now = datetime.now(UTC)
    record = RunRecord("r", now, "python", "failed", 1, None, "", "NameError: x", False, 1.0)
    test = ask(open_page("1_Chat", sid), "Hello?")
    next(button for button in test.button if button.label == "Write it again").click().run()
    services.fixer.fix(program, record, Language.EN, FIRST).join(60)
    services.fixer.explain(program, Language.EN, FIRST).join(60)
    open_page("4_Settings", sid).button(key="settings-test").click().run()
    assert len(services.model.asked) == 5
    eventually(lambda: used(services, user).calls == 5)
    bedrock.engine.follow(Script(default=Reply("PASS", input_tokens=100, output_tokens=10)))
    services.bench.submit(user, "prompt", payloads.build(replace(PLAN_SHEET, text="Hi"))).join(60)
    job = services.evaluator.start(user, "test", plan(3))
    assert job.join(60)
    eventually(lambda: used(services, user).calls == 12)
    assert len(bedrock.engine.requests) == 7
    assert used(services, user) == Spent(5 * 7 + 700, 5 * 3 + 70, 7 * 150, 12, unpriced=5)


def test_a_test_set_ends_where_the_budget_does(services, user, bedrock):
    bedrock.engine.follow(Script(default=Reply("PASS", input_tokens=100, output_tokens=10)))
    limit(services, user, month_micro_dollars=3000)
    job = services.evaluator.start(user, "test", plan(40))
    assert job.join(60)
    assert job.head.state is EvaluationState.CAPPED
    assert any(outcome.error and outcome.error.key.startswith("budget_") for outcome in job.outcomes)
    spent = used(services, user)
    assert spent.calls == len(bedrock.engine.requests)
    assert 0 < spent.micro_dollars <= 3000


def test_the_prompt_lab_sends_its_payload_whole_or_not_at_all(services, user, bedrock):
    limit(services, user, message_tokens=60)
    with pytest.raises(Exception, match="budget_message_tokens"):
        services.bench.submit(user, "prompt", payloads.build(replace(PLAN_SHEET, text="Hi " * 30)))
    assert services.bench.answer(user, "prompt") is None
    assert bedrock.engine.requests == []
