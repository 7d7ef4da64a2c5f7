import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { type Bucket, ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import assert from "node:assert";

enum Color {
  Red = "red",
}
const bucket: Bucket = { Name: "name" };
for (const Client of [DynamoDBClient, DynamoDBDocumentClient, S3Client, ListBucketsCommand]) assert.equal(typeof Client, "function");
console.log(`${bucket.Name} ${Color.Red}` === "name red" ? "OK" : "wrong");
