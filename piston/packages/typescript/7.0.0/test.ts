import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { type Bucket, ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import assert from "node:assert";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

enum Color {
  Red = "red",
}
const bucket: Bucket = { Name: "name" };
for (const Client of [DynamoDBClient, DynamoDBDocumentClient, S3Client, ListBucketsCommand]) assert.equal(typeof Client, "function");
// The quick check must accept what it is for: where it accepts nothing, all programs wait for the slow one, and nobody sees why.
writeFileSync("/tmp/quick.ts", "const words: string[] = ['a'];\nconsole.log(words.map((word) => word.length), new Map(), [1].values().map(String));\n");
writeFileSync("/tmp/quick.json", JSON.stringify({ extends: `${process.env.CODECOACH_NODE}/tsconfig.quick.json`, files: ["/tmp/quick.ts"] }));
execFileSync("tsc", ["--project", "/tmp/quick.json"], { stdio: "inherit" });
console.log(`${bucket.Name} ${Color.Red}` === "name red" ? "OK" : "wrong");
