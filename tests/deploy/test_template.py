"""cf-template.yaml, read: what it opens, who may do what, what it keeps, and that it agrees with the code."""

import io
import json
import logging
import re
import subprocess

import pytest

from codecoach import languages, logs, metrics
from codecoach.models import catalogue
from codecoach.settings import MyAws, RunnerKind, Settings
from codecoach.store import dynamodb_table
from tests.deploy import client_calls
from tests.deploy.template import FILE, PARAMETERS, RESOURCES, ROOT, TEMPLATE, mentions, of_type, user_data
from tests.deploy.tools import needs, tool

TEXT = FILE.read_text("utf-8")
LAUNCHED = ("AppTemplate", "PistonTemplate")


def statements():
    """(role's resource, statement) of every policy."""
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, found) for found in policy["PolicyDocument"]["Statement"])
    for name, policy in of_type("AWS::IAM::Policy").items():
        for found in policy["PolicyDocument"]["Statement"]:
            yield name, found["Fn::If"][1] if "Fn::If" in found else found


def actions(statement) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


# --- How it is created ------------------------------------------------------------------------------------------------


def test_it_can_be_given_as_the_body_of_create_stack():
    """Source: CloudFormation quotas, template body size in a request: 51,200 bytes."""
    assert len(TEXT.encode()) < 51200
    assert TEXT.isascii()


def test_it_needs_no_more_than_capability_iam():
    assert "Transform" not in TEMPLATE
    for kind in ("Role", "Policy", "InstanceProfile", "ManagedPolicy", "User", "Group"):
        for properties in of_type(f"AWS::IAM::{kind}").values():
            assert not {f"{kind}Name", "ManagedPolicyName", "UserName"} & properties.keys() - {"PolicyName"}
    assert not of_type("AWS::IAM::User")


def test_the_source_is_all_that_has_to_be_said():
    assert [name for name, found in PARAMETERS.items() if "Default" not in found] == ["SourceUrl"]
    grouped = [
        name
        for group in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(PARAMETERS)
    for name, found in PARAMETERS.items():
        assert found["Description"], name
        assert mentions([RESOURCES, TEMPLATE["Conditions"], TEMPLATE["Outputs"]], name), f"{name} is of no use"


@needs("cfn-lint")
def test_cfn_lint_finds_nothing():
    ran = subprocess.run([tool("cfn-lint"), FILE], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


@needs("checkov")
def test_checkov_finds_nothing_but_what_has_a_reason():
    words = [tool("checkov"), "-f", FILE, "--config-file", ROOT / ".checkov.yaml", "--output", "json"]
    ran = subprocess.run(words, capture_output=True, text=True)
    summary = json.loads(ran.stdout)["summary"]
    assert (ran.returncode, summary["failed"]) == (0, 0)
    assert summary["passed"] > 40


# --- What it opens ----------------------------------------------------------------------------------------------------


def rules(direction: str):
    """(group or its rule, rule) of everything that is let in or out."""
    for name, group in of_type("AWS::EC2::SecurityGroup").items():
        yield from ((name, rule) for rule in group.get(f"SecurityGroup{direction}", []))
    yield from of_type(f"AWS::EC2::SecurityGroup{direction}").items()


def test_nobody_on_the_internet_reaches_anything_but_cloudfront():
    for name, rule in rules("Ingress"):
        assert rule["IpProtocol"] == "tcp"
        assert rule["FromPort"] == rule["ToPort"]
        if name == "Ssh":
            continue
        assert not {"CidrIp", "CidrIpv6"} & rule.keys(), name
        assert ("SourcePrefixListId" in rule) == (name == "LoadBalancerGroup")
    for balancer in of_type("AWS::ElasticLoadBalancingV2::LoadBalancer").values():
        assert balancer["Scheme"] == "internal"


def test_there_is_no_ssh_unless_somebody_says_from_where():
    (opened,) = [name for name, rule in rules("Ingress") if rule["FromPort"] == 22]
    assert opened == "Ssh"
    assert RESOURCES["Ssh"]["Condition"] == "OpenSsh"
    assert PARAMETERS["SSHFrom"]["Default"] == PARAMETERS["SSHKeyName"]["Default"] == ""
    allowed = re.compile(PARAMETERS["SSHFrom"]["AllowedPattern"])
    assert allowed.fullmatch("203.0.113.7/32")
    assert not allowed.fullmatch("0.0.0.0/0")
    for name in LAUNCHED:
        key = RESOURCES[name]["Properties"]["LaunchTemplateData"]["KeyName"]
        assert key == {"Fn::If": ["Key", {"Ref": "SSHKeyName"}, {"Ref": "AWS::NoValue"}]}


def test_instances_reach_the_web_and_one_another_only():
    ports = {(name, rule["FromPort"]) for name, rule in rules("Egress") if "CidrIp" in rule}
    assert ports == {("AppGroup", 443), ("AppGroup", 80), ("PistonGroup", 443), ("PistonGroup", 80)}


def test_the_metadata_of_an_instance_is_out_of_reach_for_containers():
    for name in LAUNCHED:
        options = RESOURCES[name]["Properties"]["LaunchTemplateData"]["MetadataOptions"]
        assert options == {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_the_address_is_https_only_and_fit_for_websockets():
    distribution = RESOURCES["Address"]["Properties"]["DistributionConfig"]
    behaviour = distribution["DefaultCacheBehavior"]
    assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
    # Source: CloudFront Developer Guide, managed cache and origin request policies.
    assert behaviour["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert behaviour["OriginRequestPolicyId"] == "33f36d7e-f396-46d9-90e0-52428a34d9dc"
    assert {"GET", "POST", "PUT", "DELETE", "OPTIONS"} <= set(behaviour["AllowedMethods"])
    (origin,) = distribution["Origins"]
    assert "CustomOriginConfig" not in origin
    assert origin["VpcOriginConfig"]["VpcOriginId"] == {"Fn::GetAtt": ["Origin", "Id"]}
    assert RESOURCES["Origin"]["Properties"]["VpcOriginEndpointConfig"]["Arn"] == {"Ref": "LoadBalancer"}
    own_name = distribution["ViewerCertificate"]["Fn::If"][1]
    assert own_name["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_people_stay_on_their_instance():
    attributes = {
        found["Key"]: found["Value"] for found in RESOURCES["AppTargets"]["Properties"]["TargetGroupAttributes"]
    }
    assert attributes["stickiness.enabled"] == "true"
    assert attributes["stickiness.type"] == "lb_cookie"


def test_each_region_has_two_zones_in_which_vpc_origins_work():
    """Source: CloudFront Developer Guide, "Restrict access with VPC origins", supported Regions."""
    for region, found in TEMPLATE["Mappings"]["Region"].items():
        assert re.fullmatch(r"pl-[0-9a-f]{8}", found["CloudFront"]), region
        assert found["A"] != found["B"]
        assert found["A"].split("-")[0] == found["B"].split("-")[0]
        assert not {found["A"], found["B"]} & {"use1-az3", "usw1-az2", "apne1-az3", "cac1-az3"}
    lists = [found["CloudFront"] for found in TEMPLATE["Mappings"]["Region"].values()]
    assert len(set(lists)) == len(lists)


# --- Who may do what --------------------------------------------------------------------------------------------------


def test_no_right_is_given_by_a_wildcard():
    for name, statement in statements():
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        if statement["Effect"] == "Allow":
            assert not [action for action in actions(statement) if "*" in action], name


def test_only_what_has_no_resource_is_allowed_on_all():
    on_all = {action for _, statement in statements() if statement["Resource"] == "*" for action in actions(statement)}
    lists = {"bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles"}
    session_manager = {"ssm:UpdateInstanceInformation"} | {
        f"ssmmessages:{act}{channel}Channel" for act in ("Create", "Open") for channel in ("Control", "Data")
    }
    assert on_all == lists | session_manager | {"cloudwatch:PutMetricData"}


# The stack makes the table and what belongs to it, so the app's role need not.
MADE_BY_THE_STACK = {"dynamodb:CreateTable", "dynamodb:UpdateTimeToLive", "dynamodb:UpdateContinuousBackups"}
NEEDS_NO_RIGHT = {"sts:GetCallerIdentity"}


def test_the_apps_role_may_do_what_its_code_calls_and_nothing_else():
    called = client_calls.calls()
    assert called.keys() >= MADE_BY_THE_STACK | NEEDS_NO_RIGHT  # else those lists are out of date
    wanted = called.keys() - MADE_BY_THE_STACK - NEEDS_NO_RIGHT
    services = {action.partition(":")[0] for action in called}
    given = {
        action
        for name, statement in statements()
        if statement["Effect"] == "Allow"
        for action in actions(statement)
        if action.partition(":")[0] in services
    }
    assert given == wanted, {action: called.get(action) for action in given ^ wanted}


def test_the_scripts_may_do_what_they_call_and_nothing_else():
    scripts = (ROOT / "deploy" / "instance.sh").read_text("utf-8") + user_data("AppTemplate")
    named = {"s3 cp": "s3:GetObject", "cloudformation signal-resource": "cloudformation:SignalResource"}
    named["secretsmanager get-secret-value"] = "secretsmanager:GetSecretValue"
    called = set(re.findall(r"\baws ([a-z0-9]+ [a-z-]+)", scripts))
    assert called == named.keys()
    # The agents' own: logs of the group, metrics of the one name space.
    agents = {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", "cloudwatch:PutMetricData"}
    services = {"s3", "cloudformation", "secretsmanager", "logs", "cloudwatch"}
    given = {
        a for _, s in statements() if s["Effect"] == "Allow" for a in actions(s) if a.partition(":")[0] in services
    }
    assert given == set(named.values()) | agents


def test_of_awss_own_policies_there_is_the_programs_read_only_alone():
    used = {
        name: [found["Fn::Sub"].rpartition("/")[2] for found in role.get("ManagedPolicyArns", [])]
        for name, role in of_type("AWS::IAM::Role").items()
    }
    assert used == {"AppRole": [], "PistonRole": [], "ProgramsRole": ["ReadOnlyAccess"]}


def test_programs_never_read_what_codecoach_keeps():
    role = RESOURCES["ProgramsRole"]
    assert role["Condition"] == "MyAws"
    assert PARAMETERS["WhoMayRunWithMyAws"]["Default"] == MyAws.NOBODY
    # In the role itself: there is no moment at which it has the one and not the other.
    (policy,) = role["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert set(statement["Action"]) == {"dynamodb:*", "logs:*", "secretsmanager:*"}
    for kept in ("Table", "ExistingTable", "AdminPassword", "CookieSecret", "OidcSecretArn", "Logs"):
        assert mentions(statement["Resource"], kept), kept


def test_the_ways_out_are_there_before_the_instances_and_go_after_them():
    for name in ("AppInstances", "PistonInstances"):
        for needed in ("WayOut", "PublicARoutes", "PublicBRoutes", "BucketEndpoint"):
            assert mentions(RESOURCES[name]["Properties"]["Tags"], needed), (name, needed)
    assert mentions(RESOURCES["AppInstances"]["Properties"]["Tags"], "TableEndpoint")
    assert mentions(RESOURCES["Origin"]["Properties"], "WayOut")


def test_the_models_that_are_picked_first_are_allowed():
    patterns = [re.escape(words).replace(r"\*", ".*") for words in PARAMETERS["AllowedModels"]["Default"].split(",")]
    for model in catalogue.CURRENT_PICKS:
        assert any(re.fullmatch(pattern, model) for pattern in patterns), model


# --- What it keeps ----------------------------------------------------------------------------------------------------


def test_the_table_is_the_apps_own_definition():
    table, own = RESOURCES["Table"], dynamodb_table.resource("any")
    assert {**table["Properties"], "TableName": "any"} == own["Properties"]
    assert table["Type"] == own["Type"]
    # As the app's own, but that the table of a stack which could not be created goes with it.
    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == own["UpdateReplacePolicy"] == "Retain"


def test_a_later_stack_never_meets_the_table_of_an_earlier_one():
    name = RESOURCES["Table"]["Properties"]["TableName"]
    assert mentions(name, "AWS::StackId")
    assert RESOURCES["Table"]["Condition"] == "NewTable"


def test_secrets_are_made_and_disks_are_encrypted():
    for secret in of_type("AWS::SecretsManager::Secret").values():
        assert secret["GenerateSecretString"]["ExcludePunctuation"] is True  # so that a file of variables takes them
    length = RESOURCES["AdminPassword"]["Properties"]["GenerateSecretString"]["PasswordLength"]
    Settings(admin_password="x" * length)
    length = RESOURCES["CookieSecret"]["Properties"]["GenerateSecretString"]["PasswordLength"]
    Settings(cookie_secret="x" * length)
    for name in LAUNCHED:
        (disk,) = RESOURCES[name]["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True


def test_no_output_and_no_user_data_holds_a_secret():
    for name in LAUNCHED:
        assert "resolve:secretsmanager" not in user_data(name)
    assert "resolve:" not in json.dumps(TEMPLATE["Outputs"])
    assert {"Address", "AdminPassword", "LogGroup"} <= TEMPLATE["Outputs"].keys()


def test_logs_end_and_alarms_tell():
    assert RESOURCES["Logs"]["Properties"]["RetentionInDays"] == {"Ref": "LogDays"}
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert len(alarms) >= 4
    for alarm in alarms.values():
        assert (
            alarm["AlarmActions"]
            == alarm["OKActions"]
            == [{"Fn::If": ["Alarmed", {"Ref": "Alarms"}, {"Ref": "AWS::NoValue"}]}]
        )


def _matches(pattern: str, record: dict) -> bool:
    """Whether CloudWatch's filter pattern takes a record; of its language, what the template uses."""
    conditions = re.fullmatch(r"\{ (.+) \}", pattern)[1].split(" && ")
    parsed = [re.fullmatch(r'\$\.(\w+) (=|!=) "(\w+)"', condition).groups() for condition in conditions]
    return all((record.get(name) == value) == (operator == "=") for name, operator, value in parsed)


def _record(write, **facts) -> dict:
    """What stands in the log of an instance when something has ended."""
    stream, root, ours = io.StringIO(), logging.getLogger(), logging.getLogger("codecoach")
    before = (root.handlers[:], root.level, ours.level)
    logs.configure("INFO", "json", stream)
    try:
        write(**facts)
    finally:
        root.handlers[:], root.level, ours.level = before
    return json.loads(stream.getvalue())


def test_each_metric_is_made_of_what_the_log_really_says():
    reply = {"input_tokens": 9, "output_tokens": 7, "dollars": 0.1, "first_token_s": 0.5, "total_s": 2.0}
    whole = _record(metrics.reply_ended, model_id="m", outcome="complete", **reply)
    failed = _record(metrics.reply_ended, model_id="m", outcome="model_slow", **reply)
    run = _record(
        metrics.run_ended, runner="piston", language="go", status="ok", waited_s=0.1, wall_s=0.2, compile_s=0.3
    )
    told = {"Replies": [whole, failed], "FailedReplies": [failed], "Runs": [run], "RunSeconds": [run]}
    told["RunWaitSeconds"] = [run]
    for properties in of_type("AWS::Logs::MetricFilter").values():
        (made,) = properties["MetricTransformations"]
        taken = [one for one in (whole, failed, run) if _matches(properties["FilterPattern"], one)]
        assert taken == told.get(made["MetricName"], [whole, failed]), made["MetricName"]
        for record in taken:
            value = made["MetricValue"]
            assert float(record[value.removeprefix("$.")] if value.startswith("$.") else value) > 0
            for dimension in made.get("Dimensions", []):
                assert record[dimension["Value"].removeprefix("$.")]
    named = {one["MetricTransformations"][0]["MetricName"] for one in of_type("AWS::Logs::MetricFilter").values()}
    ours = [
        one
        for one in of_type("AWS::CloudWatch::Alarm").values()
        if one["Namespace"] == {"Fn::Sub": "CodeCoach/${AWS::StackName}"}
    ]
    assert ours
    assert {one["MetricName"] for one in ours} <= named


# --- When it is complete ----------------------------------------------------------------------------------------------


def test_it_is_complete_when_an_instance_said_that_it_works():
    assert RESOURCES["Ready"]["Properties"]["Handle"] == {"Ref": "Started"}
    assert RESOURCES["Ready"]["DependsOn"] == "AppInstances"
    # A count that followed a parameter could never be changed: wait conditions take no updates.
    assert "Count" not in RESOURCES["Ready"]["Properties"]


@pytest.mark.parametrize("name", ["AppInstances", "PistonInstances"])
def test_an_update_replaces_one_instance_after_the_other_and_waits_for_each(name):
    rolling = RESOURCES[name]["UpdatePolicy"]["AutoScalingRollingUpdate"]
    assert rolling["WaitOnResourceSignals"] is True
    assert rolling["MaxBatchSize"] == 1
    properties = RESOURCES[name]["Properties"]
    assert rolling["MinInstancesInService"] == properties["MinSize"] == properties["DesiredCapacity"]
    assert int(properties["MaxSize"]) > PARAMETERS[properties["MinSize"]["Ref"]]["MaxValue"]  # room for the one more
    assert {"HealthCheck", "ReplaceUnhealthy"} <= set(rolling["SuspendProcesses"])


# --- What the instances are told --------------------------------------------------------------------------------------


def variables(name: str) -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", user_data(name), re.MULTILINE))


def test_the_instances_get_every_variable_that_their_script_reads():
    script = (ROOT / "deploy" / "instance.sh").read_text("utf-8")
    for name in variables("AppTemplate") - {"SOURCE_URL"}:
        assert re.search(rf"\${{?{name}\b", script), f"{name} is read by nobody"
    assert variables("PistonTemplate") < variables("AppTemplate")
    own = set(re.findall(r"^([A-Z_]+)=", script, re.MULTILINE)) | {"BASH_SOURCE", "BASH_SUBSHELL", "SECONDS", "PAUSE_S"}
    inner = set(
        re.findall(r"^([A-Z_]+)=", "\n".join(re.findall(r"<<END\n(.*?)\nEND", script, re.DOTALL)), re.MULTILINE)
    )
    read = set(re.findall(r"\$\{?([A-Z_]{2,})\b", script)) - own - inner
    assert read <= variables("AppTemplate"), "a variable that no template gives"


def test_no_parameter_can_break_out_of_the_script():
    """Each value stands between single quotes, which none of them may have."""
    for name in LAUNCHED:
        text, given = RESOURCES[name]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
        used = set(re.findall(r"\$\{([\w:]+)\}", text + json.dumps(given))) & PARAMETERS.keys()
        assert used
        for parameter in used:
            found = PARAMETERS[parameter]
            assert re.search(rf"='\${{{parameter}}}'\n", text) or mentions(given, parameter)
            if "AllowedValues" not in found and found["Type"] != "Number":  # what is no number is refused as one
                allowed = re.compile(found["AllowedPattern"])
                for evil in ("'", "x'y", "https://x'", "a@b'", "bash\nrm", "a`b`", "$(a)"):
                    assert not allowed.fullmatch(evil), (parameter, evil)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", True),
        ("CODECOACH_LOG_LEVEL=DEBUG", True),
        (" CODECOACH_BUDGET_MONTH_TOKENS=2000000; CODECOACH_OIDC_DOMAINS=a.example,b.example ;", True),
        ("CODECOACH_OIDC_METADATA_URL=https://id.example.com/x?a=1&b=%20", True),
        ("CODECOACH_LOG_LEVEL", False),
        ("PATH=/tmp", False),
        ("CODECOACH_LOG_LEVEL=INFO PATH=/tmp", False),
        ("CODECOACH_LOG_LEVEL=INFO\nPATH=/tmp", False),
        *(
            (f"CODECOACH_LOG_LEVEL={evil}", False)
            for evil in ("a'b", 'a"', "`id`", "$(id)", "${X}", "a\\", "a|b", "<a", "#", "!a")
        ),
    ],
)
def test_further_settings_are_names_and_plain_values(given, taken):
    assert bool(re.fullmatch(PARAMETERS["MoreSettings"]["AllowedPattern"], given)) is taken
    assert "No secrets" in PARAMETERS["MoreSettings"]["Description"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_script_is_a_good_one(name, tmp_path):
    script = tmp_path / "user-data.sh"
    script.write_text(user_data(name), "utf-8")
    assert len(script.read_bytes()) < 16384  # Source: EC2 User Guide, user data
    subprocess.run(["bash", "-n", script], check=True)
    if tool("shellcheck"):
        words = [tool("shellcheck"), "--exclude", "SC1091,SC2016,SC2154", script]  # it sources a file that is elsewhere
        subprocess.run(words, check=True)


def test_the_choices_are_those_of_the_app():
    assert set(PARAMETERS["WhoMayRunWithMyAws"]["AllowedValues"]) == set(MyAws)
    assert set(PARAMETERS["Runner"]["AllowedValues"]) == set(RunnerKind)
    assert PARAMETERS["AdminEmail"]["Default"] == Settings.model_fields["admin_email"].default
    named = re.search(r"of ([a-z,]+)\.", PARAMETERS["Languages"]["Description"])
    assert set(named[1].split(",")) == {found.id for found in languages.LANGUAGES}
