"""The Prompt Lab's page without a browser: what is typed is kept, what travels is shown, templates are saved and had back."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest

from codecoach import i18n
from codecoach.chat.messages import MessageState, Usage
from codecoach.coach import copilots, matching, trial_programs
from codecoach.errors import InputRefused
from codecoach.i18n import Language, Notice
from codecoach.lab.cases import Cases, Check, CheckKind
from codecoach.lab.evaluation import EvaluationState, Outcome, Plan, Variant, Verdict
from codecoach.lab.sheet import Parameters, Sheet
from codecoach.local.scripted import Reply, Rule, Script, ScriptedServer
from codecoach.models import payloads
from codecoach.models.clients import clients
from codecoach.models.laboratory import Laboratory, dollars
from codecoach.models.payloads import Image
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store.case_sets import CaseSet
from codecoach.store.templates import Draft, Template
from codecoach.ui.lab import answer, outcomes
from codecoach.ui.lab import templates as ui
from codecoach.ui.lab.workbench import Workbench
from tests.bedrock import CLAUDE_2, CLAUDE_3
from tests.pages.conftest import ROOT, open_page, texts

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
ASK = Sheet("Say {word} in {language}.", "Be brief.", model_id=CLAUDE_3, values={"word": "cloud", "language": "French"})


@pytest.fixture
def bedrock() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def sid(services: Services, user: str, bedrock: ScriptedServer) -> str:
    runtime = clients(Settings(bedrock_endpoint_url=bedrock.url)).runtime
    services.__dict__["laboratory"] = Laboratory(runtime, first_pause_s=0.01)
    return services.sign_ins.open(user)


@pytest.fixture
def bench(services: Services, user: str) -> Sheet:
    services.templates.keep_draft(user, Draft(ASK))
    return ASK


def lab(sid: str, locale: str = "en-US") -> AppTest:
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    test.context = {"locale": locale}
    test.session_state["codecoach.sid"] = sid
    return test.switch_page("pages/3_Prompt_Lab.py").run()


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def look(test: AppTest, view: str) -> AppTest:
    views = next(group for group in test.get("button_group") if group.label == "What to look at")
    return views.set_value(view).run()


def areas(test: AppTest) -> dict[str, str]:
    return {area.label: area.value for area in test.text_area}


def body(test: AppTest) -> dict:
    return json.loads(next(code.value for code in test.code if code.language == "json"))


def test_each_variable_has_an_input_in_order_and_the_prompt_is_shown_filled_in(sid, bench):
    test = lab(sid)
    assert not test.exception
    assert list(areas(test))[:3] == ["System text", "word", "language"]
    shown = [code.value for code in test.code]
    assert shown == ["Be brief.", "Say cloud in French."]


def test_what_is_typed_is_kept_and_what_is_missing_is_named(sid, bench, services, user):
    test = lab(sid)
    next(area for area in test.text_area if area.label == "word").set_value("").run()
    assert any("word" in warning.value for warning in test.warning)
    assert services.templates.draft(user).sheet.values == {"language": "French", "word": ""}
    press(test, "Submit")
    assert "Nothing was given for: word" in texts(test)
    assert services.bench.answer(user, "prompt") is None


def test_the_raw_request_is_what_travels_and_what_system_adds_is_shown(sid, bench, bedrock):
    test = look(lab(sid), "request")
    assert "**InvokeModelWithResponseStream**" in texts(test)
    assert body(test)["system"] == "Be brief."
    assert body(test)["messages"][0]["content"][0]["text"] == "Say cloud in French."
    against = next(box for box in test.selectbox if box.key == "lab:against")
    against.set_value("no_system").run()
    assert "**+1**" in texts(test)
    bedrock.engine.say("Nuage.")
    press(test, "Submit")
    assert bedrock.engine.requests[-1].system == "Be brief."


def test_an_answer_stays_with_its_figures_and_the_raw_response(sid, bench, bedrock, services, user):
    bedrock.engine.say("Nuage.", input_tokens=20)
    services.templates.keep_draft(user, Draft(replace(ASK, model_id=HAIKU)))
    test = press(lab(sid), "Submit")
    assert "Nuage." in texts(test)
    assert "20 tokens in, 1 out" in texts(test)
    again = look(lab(sid), "response")
    assert "Nuage." in texts(again), "after F5 too"
    raw = [json.loads(code.value) for code in look(again, "raw").code]
    assert raw[0]["stopReason"] == "end_turn"
    assert raw[0]["dollars"] == dollars(HAIKU, Usage(20, 1)) > 0
    assert raw[1]["operation"] == "InvokeModelWithResponseStream"


def test_a_failure_says_what_to_do_and_is_no_answer(sid, bench, bedrock, services, user):
    bedrock.engine.fail("AccessDeniedException")
    test = press(lab(sid), "Submit")
    assert any("may not call the model" in error.value for error in test.error)
    assert services.bench.answer(user, "prompt").text == ""


def test_a_retired_model_shows_its_request_and_the_nearest_living_one(sid, services, user):
    services.templates.keep_draft(user, Draft(Sheet("Hi", model_id=CLAUDE_2)))
    test = look(lab(sid), "request")
    assert body(test)["prompt"] == "\n\nHuman: Hi\n\nAssistant:"
    assert "Retired since 2025-07-21" in texts(test)
    assert "“Human:” was missing" in texts(test)
    instead = next(button for button in test.button if button.key == "lab:instead")
    instead.click().run()
    assert services.templates.draft(user).sheet.model_id == "first.model-v1"


def test_a_template_is_saved_changed_saved_again_and_its_first_version_had_back(sid, bench, services, user):
    test = lab(sid)
    next(field for field in test.text_input if field.label == "Name").set_value("Words").run()
    press(test, "Save as a new template")
    (saved,) = services.templates.list(user)
    assert (saved.name, saved.sheet) == ("Words", ASK)
    next(area for area in test.text_area if area.label == "System text").set_value("Be polite.").run()
    press(test, "Save")
    versions = services.templates.versions(user, saved.id)
    assert [version.sheet.system for version in versions] == ["Be polite.", "Be brief."]
    test.session_state[f"lab:more.{test.session_state['lab:bench'].revision}"] = (
        True  # its versions are drawn once it is open
    )
    test.run()
    next(box for box in test.selectbox if box.label == "Versions").set_value(1).run()
    press(test, "Put this version on the bench")
    assert areas(test)["System text"] == "Be brief."


def test_a_stop_sequence_may_hold_line_ends(sid, services, user):
    kept = ("\n\nHuman:", "C:\\new", "END")
    services.templates.keep_draft(user, Draft(replace(ASK, parameters=Parameters(stop_sequences=kept))))
    test = lab(sid)
    lines = next(area for area in test.text_area if area.label.startswith("Stop sequences"))
    assert lines.value == "\\n\\nHuman:\nC:\\\\new\nEND"
    lines.set_value(lines.value + "\n\\n").run()
    assert services.templates.draft(user).sheet.parameters.stop_sequences == (*kept, "\n")


def test_other_values_alone_are_worth_a_version(sid, bench, services, user):
    template = services.templates.save(Template("", user, "Words", ASK))
    services.templates.keep_draft(user, Draft(ASK, template.id))
    test = lab(sid)
    assert next(button for button in test.button if button.key == "lab:save").disabled
    next(area for area in test.text_area if area.label == "word").set_value("sun").run()
    press(test, "Save")
    assert [one.sheet.values["word"] for one in services.templates.versions(user, template.id)] == ["sun", "cloud"]


def test_what_was_not_saved_is_had_back_after_something_else_was_opened(sid, bench, services, user):
    other = services.templates.save(Template("", user, "Other", replace(ASK, system="Of the other.")))
    test = lab(sid)
    next(area for area in test.text_area if area.label == "System text").set_value("Hours of work.").run()
    assert "Undo" not in [button.label for button in test.button]
    ui.open_template(test.session_state["lab:bench"], other.id)
    test.run()
    assert areas(test)["System text"] == "Of the other."
    press(test, "Undo")
    assert areas(test)["System text"] == "Hours of work."
    assert services.templates.draft(user) == Draft(replace(ASK, system="Hours of work."))
    assert "Undo" not in [button.label for button in test.button]


def test_a_picture_does_not_fill_the_raw_request():
    payload = payloads.build(replace(ASK, format="converse"), (Image("png", b"\x89PNG" * 1_000_000),))
    for shown in (payload, payloads.build(ASK, (Image("png", b"\x89PNG" * 1_000_000),))):
        body = answer._shortened(shown.json())
        assert len(json.dumps(body)) < 1_000
        assert "iVBOR4lQTkeJUE5H" in json.dumps(body)


def test_a_template_becomes_a_copilot_in_chat(sid, bench, services, user):
    template = services.templates.save(Template("", user, "Words", ASK))
    services.templates.keep_draft(user, Draft(ASK, template.id))
    test = lab(sid)
    next(toggle for toggle in test.toggle if "copilot" in toggle.label).set_value(True).run()
    assert services.templates.get(user, template.id).copilot
    chat = open_page("1_Chat", sid)
    assert not chat.exception
    chat.session_state["chat:assistant"] = copilots.assistant_id(template)
    chat.run()
    assert "Your own copilot" in texts(chat)


def test_templates_are_exported_and_imported_whole(services, user):
    services.templates.save(Template("", user, "Wörter 词", ASK))
    assert ui.imported(ui.exported(Workbench(user, ASK))) == [("Wörter 词", ASK)]


# What no field of the page can show: a draft with it would break the page at every visit.
UNDRAWABLE = (
    *(("temperature", 7), ("temperature", float("nan")), ("top_p", -1)),
    *(("max_tokens", 0), ("max_tokens", 10**9), ("top_k", 501)),
)


def _file(sheet: dict) -> bytes:
    return json.dumps({"kind": "codecoach-templates", "templates": [{"name": "x", "sheet": sheet}]}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"kind": "other", "templates": []}',
        b'{"kind": "codecoach-templates", "templates": [{"name": " ", "sheet": {}}]}',
        b'{"kind": "codecoach-templates", "templates": [{"name": "x", "sheet": {"style": "triple"}}]}',
        *(_file({"parameters": {name: value}}) for name, value in UNDRAWABLE),
        _file({"examples": [{"question": "q", "answer": "a"}] * 51}),
        _file({"text": "".join(f"{{v{number}}}" for number in range(101))}),
        b'{"kind": "codecoach-templates", "templates": ' + b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_export_is_refused_before_anything_is_saved(data):
    with pytest.raises(InputRefused):
        ui.imported(data)


def test_columns_answer_side_by_side_and_one_that_fails_leaves_the_others(sid, bench, bedrock, services, user):
    test = lab(sid)
    test.session_state["lab:mode"] = "compare"
    test.run()
    next(box for box in test.selectbox if box.key == "lab:model.1").set_value(HAIKU).run()
    bedrock.engine.say("Nuage.")
    bedrock.engine.fail("AccessDeniedException")
    press(test, "Submit all")
    assert "Nuage." in texts(test)
    assert any("may not call the model" in error.value for error in test.error)
    answers = sorted(services.bench.answer(user, f"column-{index}").text for index in range(2))
    assert answers == ["", "Nuage."], "whichever was first"


def test_versions_are_compared_without_saving_anything_first(sid, bedrock, services, user):
    template = services.templates.save(Template("", user, "Words", ASK))
    services.templates.keep_draft(user, Draft(replace(ASK, system="Not saved."), template.id))
    test = lab(sid)
    test.session_state["lab:mode"] = "compare"
    test.run()
    source = next(box for box in test.selectbox if box.key == "lab:source.1")
    assert source.options == ["This prompt", "Words, version 1"]
    source.set_value(f"{template.id}.1").run()
    next(box for box in test.selectbox if box.key == "lab:model.1").set_value(HAIKU).run()
    press(test, "Submit all")
    assert {asked.system for asked in bedrock.engine.requests} == {"Not saved.", "Be brief."}


def test_a_column_whose_prompt_is_gone_goes_on_with_the_one_on_the_bench(sid, bench, services, user):
    template = services.templates.save(Template("", user, "Words", ASK))
    test = lab(sid)
    test.session_state["lab:mode"] = "compare"
    test.run()
    next(box for box in test.selectbox if box.key == "lab:source.1").set_value(template.id).run()
    services.templates.save(Template("", user, "Others", ASK))
    services.templates.delete(user, template.id)
    test.run()
    assert not test.exception
    assert next(box for box in test.selectbox if box.key == "lab:source.1").value == ""


def test_the_page_speaks_chinese(sid, bench):
    test = lab(sid, "zh-CN")
    assert "填充结果" in str([option for group in test.get("button_group") for option in group.options])
    assert "提交" in [button.label for button in test.button]


CASES = Cases(
    ("word", "language", "expected"),
    (("cloud", "French", "nuage"), ("sun", "German", "Sonne"), ("", "", "")),
    (Check("contains"),),
)
SAID = Script(
    (Rule("cloud", Reply("un nuage", input_tokens=10, output_tokens=5)), Rule("sun", Reply("la luna"))), Reply("?")
)


@pytest.fixture
def case_set(services: Services, user: str, bedrock: ScriptedServer) -> CaseSet:
    bedrock.engine.follow(SAID)
    return services.case_sets.save(CaseSet("", user, "Words", CASES))


def on_test_set(sid: str) -> AppTest:
    test = lab(sid)
    test.session_state["lab:mode"] = "test"
    return test.run()


def test_a_test_set_is_tried_and_its_results_stay(sid, bench, case_set, services, user):
    test = on_test_set(sid)
    assert not test.exception
    press(test, "Run 2 trials")
    assert not test.exception
    (head,) = services.evaluations.list(user)
    assert (head.name, head.state, head.done, head.passed) == ("Words", EvaluationState.COMPLETE, 2, 1)
    again = on_test_set(sid)
    assert "2 of 2 tried · 1 passed" in texts(again)
    _rows, summary, matrix = (frame.value for frame in again.dataframe)
    assert list(summary["passed"]) == ["1/2"]
    assert [cell[0] for cell in matrix.iloc[:, -1]] == ["✓", "✗"]
    assert [code.value for code in again.code if code.language == "markdown"] == ["un nuage"]
    next(box for box in again.selectbox if box.label == "Case").set_value(1).run()
    assert [code.value for code in again.code if code.language == "markdown"] == ["la luna"]


def test_prompts_and_models_are_tried_together_and_versions_too(sid, case_set, services, user):
    template = services.templates.save(Template("", user, "Words", ASK))
    services.templates.save(replace(template, sheet=replace(ASK, system="")))
    services.templates.keep_draft(user, Draft(ASK, template.id))
    test = on_test_set(sid)
    prompts, models = test.multiselect
    assert "Words, version 1" in prompts.options
    prompts.set_value(["", f"{template.id}.2"])
    models.set_value([CLAUDE_3, CLAUDE_2]).run()
    press(test, "Run 8 trials")
    (head,) = services.evaluations.list(user)
    plan = services.evaluations.plan(head)
    assert [(one.sheet.model_id, one.sheet.system) for one in plan.variants] == [
        *((CLAUDE_3, "Be brief."), (CLAUDE_2, "Be brief.")),
        *((CLAUDE_3, ""), (CLAUDE_2, "")),
    ]
    assert head.done == head.total == 8


def test_what_cannot_be_tried_says_why_and_costs_nothing(sid, bench, services, user, bedrock):
    test = on_test_set(sid)
    press(test, "Run 0 trials")
    assert "The test set has no rows." in texts(test)
    assert services.evaluations.list(user) == ()
    assert bedrock.engine.requests == []


def test_a_failed_call_can_be_made_again(sid, bench, case_set, services, user, bedrock):
    bedrock.engine.fail("AccessDeniedException")
    test = press(on_test_set(sid), "Run 2 trials")
    (head,) = services.evaluations.list(user)
    assert [outcome.made for outcome in services.evaluations.outcomes(head)].count(False) == 1
    press(test, "Go on")
    assert all(outcome.made for outcome in services.evaluations.outcomes(head))
    assert not [button for button in on_test_set(sid).button if button.label == "Go on"]


def test_checks_are_kept_and_each_kind_says_what_it_expects(sid, bench, case_set, services, user):
    test = on_test_set(sid)
    checks = next(group for group in test.get("button_group") if group.label == "An answer passes if")
    checks.set_value(["contains", "regex", "json_schema", "judge", "code"]).run()
    assert not test.exception
    (kept,) = services.case_sets.list(user)
    assert [check.kind for check in kept.cases.checks] == ["contains", "regex", "json_schema", "judge", "code"]
    assert kept.cases.checks[3].model_id == CLAUDE_3
    next(area for area in test.text_area if area.label.startswith("This pattern")).set_value("^un").run()
    assert services.case_sets.list(user)[0].cases.checks[1] == Check("regex", "^un")


def test_two_windows_do_not_overwrite_one_another(sid, bench, case_set, services, user):
    first, second = on_test_set(sid), on_test_set(sid)
    next(area for area in first.text_area if area.label == "It contains").set_value("one").run()
    next(area for area in second.text_area if area.label == "It contains").set_value("two").run()
    assert "changed in another window" in texts(second)
    kept = {one.name: one.cases.checks[0].expected for one in services.case_sets.list(user)}
    assert kept == {"Words": "one", "Copy of Words": "two"}


def test_all_results_are_exported_and_no_answer_is_a_formula():
    plan = Plan(CASES, (Variant("v", ASK),))
    verdict = Verdict("json_schema", False, Notice("lab.verdict.no_json"))
    outcome = Outcome(0, 0, "=1+1", MessageState.COMPLETE, (verdict,), Usage(3, 4), 0.5, 1.0, 2.0, "end_turn")
    head, line = outcomes.exported(plan, (outcome,)).decode("utf-8-sig").splitlines()
    assert head.startswith("row,word,language,expected,variant,model,state,passed")
    assert line.startswith(f"1,cloud,French,nuage,v,{CLAUDE_3},complete,False,json_schema: ")
    assert ",'=1+1,3,4,0.5,1.0,2.0,end_turn" in line


@pytest.mark.parametrize("language", list(Language))
def test_every_way_to_check_has_its_words(language):
    known = i18n.table(language)
    for kind in get_args(CheckKind):
        assert {f"lab.check_{kind}", f"lab.expected.{kind}"} <= known.keys()
    source = Path(matching.__file__).read_text("utf-8") + Path(trial_programs.__file__).read_text("utf-8")
    said = set(re.findall(r'Match\([^,]+, "(\w+)"', source)) | {"judge_unclear", "no_program", "printed_otherwise"}
    assert {f"lab.verdict.{key}" for key in said} == {key for key in known if key.startswith("lab.verdict.")}
