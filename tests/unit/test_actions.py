"""The AWS actions of a program are seen before it runs, in every language, and those that do harm are told apart."""

import pytest

from codecoach.aws import actions, api_models
from codecoach.aws.api_names import services
from codecoach.aws.destructive import DESTRUCTIVE, is_destructive
from codecoach.languages import BY_ID
from codecoach.runner.port import File


def seen(language: str, source: str, *more: File) -> list[str]:
    return [str(action) for action in actions.found(language, (File(BY_ID[language].main, source.encode()), *more))]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import boto3\ns3 = boto3.client('s3')\ns3.delete_bucket(Bucket='b')\n", ["s3:DeleteBucket"]),
        ("import boto3\nboto3.client('logs').get_paginator('describe_log_groups')\n", ["logs:DescribeLogGroups"]),
        ("import boto3\nboto3.client('s3').upload_file('a', 'b', 'c')\n", ["s3:PutObject"]),
        (
            "import boto3\ndef stop(c):\n    c.stop_instances(InstanceIds=['i'])\nstop(boto3.client('ec2'))\n",
            ["ec2:StopInstances"],
        ),
        ("import boto3\nboto3.resource('ec2').Instance('i').terminate()\n", ["ec2:TerminateInstances"]),
        (
            "import boto3\nboto3.resource('s3').Bucket('b').objects.all().delete()\n",
            ["s3:DeleteBucket", "s3:DeleteBucketCors", "s3:DeleteObjects"],
        ),
        ("import boto3\ngetattr(boto3.client('sqs'), 'purge_queue')(QueueUrl='u')\n", ["sqs:PurgeQueue"]),
        ("import boto3, sys\nboto3.client(sys.argv[1]).delete_stack(StackName='s')\n", ["DeleteStack"]),
        ("import boto3\nthis is no Python: boto3.client('s3').delete_bucket(Bucket='b')\n", ["s3:DeleteBucket"]),
        ("names = {}\nnames.delete_all()\n", []),
        ("print('delete_bucket')\n", []),
    ],
)
def test_python(source, found):
    assert set(found) <= set(seen("python", source))
    if not found:
        assert seen("python", source) == []


@pytest.mark.parametrize("language", ["javascript", "typescript"])
def test_javascript_and_typescript(language):
    commands = "import { S3Client, DeleteBucketCommand } from '@aws-sdk/client-s3';\nnew Map().delete('a');\n"
    assert seen(language, commands) == ["s3:DeleteBucket"]
    methods = (
        "import { CloudWatchLogs } from '@aws-sdk/client-cloudwatch-logs';\nnew CloudWatchLogs().deleteLogGroup();"
    )
    assert seen(language, methods) == ["logs:DeleteLogGroup"]
    documents = "import { DeleteCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';\n"
    assert seen(language, documents) == ["dynamodb:DeleteItem", "dynamodb:Query"]
    pages = "import { paginateListObjectsV2 } from '@aws-sdk/client-s3';\n"
    assert seen(language, pages) == ["s3:ListObjectsV2"]
    older = "const AWS = require('aws-sdk');\nnew AWS.SecretsManager().deleteSecret({}).promise();"
    assert seen(language, older) == ["secretsmanager:DeleteSecret"]


def test_go():
    source = """
import "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
import "github.com/aws/aws-sdk-go-v2/service/ec2"
func main() {
    pages := ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{})
    c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{})
    logs.DeleteLogGroup(ctx, nil)
}"""
    assert seen("go", source) == ["ec2:TerminateInstances", "logs:DeleteLogGroup", "ec2:DescribeInstances"]


def test_rust():
    source = 'use aws_sdk_s3 as s3;\nclient.delete_bucket().bucket("b").send().await?;\nclient.list_buckets().send();\n'
    assert seen("rust", source) == ["s3:DeleteBucket", "s3:ListBuckets"]


def test_php():
    source = "<?php use Aws\\S3\\S3Client;\n$s3->deleteBucketAsync([]);\n$s3->getCommand('ListBuckets');\n$s3->putObject([]);"
    assert seen("php", source) == ["s3:DeleteBucket", "s3:ListBuckets", "s3:PutObject"]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("aws s3 ls", ["s3:ListBuckets", "s3:ListObjectsV2"]),
        ("X=$(aws --region us-east-1 --no-paginate ec2 describe-instances --query x)", ["ec2:DescribeInstances"]),
        ("aws ec2 terminate-instances \\\n  --instance-ids i", ["ec2:TerminateInstances"]),
        ("for b in $(list); do aws s3 rb s3://$b --force; done", ["s3:DeleteBucket", "s3:DeleteObject"]),
        ('/usr/local/bin/aws "s3api" delete-object --bucket b', ["s3:DeleteObject"]),
        ("echo | xargs -n1 aws --output=text deploy delete-application", ["codedeploy:DeleteApplication"]),
        ("aws $service delete-stack", ["DeleteStack"]),
        ('"aws" sqs purge-queue --queue-url u', ["sqs:PurgeQueue"]),
        (
            "# aws s3 rb s3://b\naws configure set region x\naws ec2 wait instance-running\nmyaws s3 rb b\naws s3 presign x",
            [],
        ),
    ],
)
def test_bash(script, found):
    assert seen("bash", script) == found


def test_a_sync_that_deletes_is_told_from_one_that_does_not():
    assert "s3:DeleteObject" not in seen("bash", "aws s3 sync a s3://b")
    assert "s3:DeleteObject" in seen("bash", "aws s3 sync a s3://b --delete")


def test_every_file_of_a_program_counts_each_in_its_own_language():
    more = File("clean.sh", b"aws s3 rb s3://b"), File("notes.txt", b"aws ec2 terminate-instances")
    assert seen("python", "print(1)\n", *more) == ["s3:DeleteBucket"]


@pytest.mark.parametrize("language", ["sql", "lua"])
def test_languages_without_an_sdk_have_none(language):
    assert seen(language, "aws s3 rb s3://b; client.delete_bucket()") == []


def test_odd_bytes_and_endless_lines_are_no_problem():
    assert seen("python", "\0" * 1000) == []
    actions.found("bash", (File("main.sh", b"aws " * 50_000 + bytes(range(256))),))
    actions.found("javascript", (File("main.mjs", b"@aws-sdk/client-s3" + b".a" * 100_000),))


@pytest.mark.parametrize(
    "operation",
    [
        "DeleteBucket",
        "TerminateInstances",
        "StopInstances",
        "ModifyInstanceAttribute",
        "PutBucketPolicy",
        "PutRolePolicy",
        "ScheduleKeyDeletion",
        "BatchWriteItem",
        "AttachUserPolicy",
        "CreateAccessKey",
        "PutObjectAcl",
        "BatchDeleteImage",
        "BatchStopJobRun",
        "AdminDeleteUser",
        "AdminSetUserPassword",
        "CreateServiceSpecificCredential",
        "UploadSSHPublicKey",
    ],
)
def test_what_needs_a_confirmation(operation):
    assert is_destructive(operation)


@pytest.mark.parametrize(
    "operation",
    [
        "ListBuckets",
        "GetObject",
        "DescribeInstances",
        "PutObject",
        "CreateBucket",
        "GetBucketPolicy",
        "Query",
        "AdminGetUser",
    ],
)
def test_what_does_not(operation):
    assert not is_destructive(operation)


def test_each_pattern_of_the_table_stands_once():
    assert len(DESTRUCTIVE) == len(set(DESTRUCTIVE))


def test_every_service_is_known_by_the_names_that_other_sdks_give_it():
    assert set(services().values()) == set(api_models.service_names())
    assert services()["sfn"] == "stepfunctions"
    assert services()["elasticloadbalancingv2"] == "elbv2"
