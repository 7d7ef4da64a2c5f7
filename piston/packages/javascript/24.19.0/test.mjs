import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { createRequire } from "node:module";
import assert from "node:assert";

const { EC2Client } = createRequire(import.meta.url)("@aws-sdk/client-ec2");
for (const Client of [DynamoDBClient, DynamoDBDocumentClient, S3Client, EC2Client]) assert.equal(typeof Client, "function");
console.log("OK");
