"""The same program in every language with an AWS SDK, as a model would write it: three services, each printing a line.

demo-logs demo-reports demo-uploads         the names of the S3 buckets
open grüß                                   of a DynamoDB item that it puts and reads
batch-1 web-1 web-2                         the names of the EC2 instances, sorted
"""

PROGRAMS = {
    "python": """
import boto3

print(*[bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]])
table = boto3.resource("dynamodb").Table("Orders")
table.put_item(Item={"OrderId": "9", "Status": "open", "Customer": "grüß"})
item = table.get_item(Key={"OrderId": "9"})["Item"]
print(item["Status"], item["Customer"])
pages = boto3.client("ec2").get_paginator("describe_instances").paginate()
instances = [instance for page in pages for group in page["Reservations"] for instance in group["Instances"]]
print(*sorted(tag["Value"] for instance in instances for tag in instance["Tags"] if tag["Key"] == "Name"))
""",
    "javascript": """
import { EC2Client, DescribeInstancesCommand } from "@aws-sdk/client-ec2";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";

const { Buckets } = await new S3Client({}).send(new ListBucketsCommand({}));
console.log(Buckets.map((bucket) => bucket.Name).join(" "));
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));
await table.send(new PutCommand({ TableName: "Orders", Item: { OrderId: "9", Status: "open", Customer: "grüß" } }));
const { Item } = await table.send(new GetCommand({ TableName: "Orders", Key: { OrderId: "9" } }));
console.log(Item.Status, Item.Customer);
const { Reservations } = await new EC2Client({}).send(new DescribeInstancesCommand({}));
const tags = Reservations.flatMap((group) => group.Instances).flatMap((instance) => instance.Tags);
console.log(tags.filter((tag) => tag.Key === "Name").map((tag) => tag.Value).sort().join(" "));
""",
    "typescript": """
import { EC2Client, paginateDescribeInstances } from "@aws-sdk/client-ec2";
import { type AttributeValue, DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { type Bucket, ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";

async function main(): Promise<void> {
  const { Buckets = [] } = await new S3Client({}).send(new ListBucketsCommand({}));
  console.log(Buckets.map((bucket: Bucket) => bucket.Name).join(" "));
  const dynamodb = new DynamoDBClient({});
  const Item: Record<string, AttributeValue> = { OrderId: { S: "9" }, Status: { S: "open" }, Customer: { S: "grüß" } };
  await dynamodb.send(new PutItemCommand({ TableName: "Orders", Item }));
  const read = await dynamodb.send(new GetItemCommand({ TableName: "Orders", Key: { OrderId: { S: "9" } } }));
  console.log(read.Item?.Status?.S, read.Item?.Customer?.S);
  const names: string[] = [];
  for await (const page of paginateDescribeInstances({ client: new EC2Client({}) }, {})) {
    for (const instance of (page.Reservations ?? []).flatMap((group) => group.Instances ?? [])) {
      names.push(instance.Tags?.find((tag) => tag.Key === "Name")?.Value ?? "");
    }
  }
  console.log(names.sort().join(" "));
}

main();
""",
    "php": """<?php
require 'vendor/autoload.php';

use Aws\\DynamoDb\\DynamoDbClient;
use Aws\\DynamoDb\\Marshaler;
use Aws\\Ec2\\Ec2Client;
use Aws\\S3\\S3Client;

$s3 = new S3Client(['region' => 'us-east-1', 'version' => 'latest']);
echo implode(' ', array_column($s3->listBuckets()['Buckets'], 'Name')), PHP_EOL;
$table = new DynamoDbClient(['region' => 'us-east-1', 'version' => 'latest']);
$marshaler = new Marshaler();
$table->putItem(['TableName' => 'Orders', 'Item' => $marshaler->marshalItem(['OrderId' => '9', 'Status' => 'open', 'Customer' => 'grüß'])]);
$item = $table->getItem(['TableName' => 'Orders', 'Key' => $marshaler->marshalItem(['OrderId' => '9'])])['Item'];
echo $item['Status']['S'], ' ', $item['Customer']['S'], PHP_EOL;
$names = [];
foreach ((new Ec2Client(['region' => 'us-east-1', 'version' => 'latest']))->getPaginator('DescribeInstances') as $page) {
    foreach ($page->search('Reservations[].Instances[].Tags[?Key==`Name`].Value | []') as $name) $names[] = $name;
}
sort($names);
echo implode(' ', $names), PHP_EOL;
""",
    "bash": """
set -euo pipefail
aws s3api list-buckets --query 'Buckets[].Name' --output text | tr '\\t' ' '
aws dynamodb put-item --table-name Orders --item '{"OrderId": {"S": "9"}, "Status": {"S": "open"}, "Customer": {"S": "grüß"}}'
aws dynamodb get-item --table-name Orders --key '{"OrderId": {"S": "9"}}' --output json | jq -r '.Item | .Status.S + " " + .Customer.S'
aws ec2 describe-instances --query 'sort(Reservations[].Instances[].Tags[?Key==`Name`].Value | [])' --output text | tr '\\t' ' '
""",
    "rust": """
use aws_sdk_dynamodb::types::AttributeValue;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = aws_config::load_from_env().await;
    let buckets = aws_sdk_s3::Client::new(&config).list_buckets().send().await?;
    let names: Vec<&str> = buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    println!("{}", names.join(" "));
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let text = |text: &str| AttributeValue::S(text.to_string());
    dynamodb.put_item().table_name("Orders").item("OrderId", text("9")).item("Status", text("open"))
        .item("Customer", text("grüß")).send().await?;
    let item = dynamodb.get_item().table_name("Orders").key("OrderId", text("9")).send().await?.item.unwrap();
    println!("{} {}", item["Status"].as_s().unwrap(), item["Customer"].as_s().unwrap());
    let mut pages = aws_sdk_ec2::Client::new(&config).describe_instances().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for instance in page?.reservations().iter().flat_map(|group| group.instances()) {
            found.extend(instance.tags().iter().filter(|tag| tag.key() == Some("Name")).filter_map(|tag| tag.value().map(String::from)));
        }
    }
    found.sort();
    println!("{}", found.join(" "));
    Ok(())
}
""",
    "go": """
package main

import (
	"context"
	"fmt"
	"log"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

type Order struct {
	OrderId, Status, Customer string
}

func main() {
	ctx := context.TODO()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}

	buckets, err := s3.NewFromConfig(cfg).ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		log.Fatal(err)
	}
	for _, bucket := range buckets.Buckets {
		fmt.Print(aws.ToString(bucket.Name), " ")
	}
	fmt.Println()

	table := dynamodb.NewFromConfig(cfg)
	item, _ := attributevalue.MarshalMap(Order{"9", "open", "grüß"})
	if _, err := table.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("Orders"), Item: item}); err != nil {
		log.Fatal(err)
	}
	key, _ := attributevalue.MarshalMap(map[string]string{"OrderId": "9"})
	found, err := table.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("Orders"), Key: key})
	if err != nil {
		log.Fatal(err)
	}
	var order Order
	if err := attributevalue.UnmarshalMap(found.Item, &order); err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Status, order.Customer)

	var names []string
	pages := ec2.NewDescribeInstancesPaginator(ec2.NewFromConfig(cfg), &ec2.DescribeInstancesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for _, group := range page.Reservations {
			for _, instance := range group.Instances {
				for _, tag := range instance.Tags {
					if *tag.Key == "Name" {
						names = append(names, *tag.Value)
					}
				}
			}
		}
	}
	sort.Strings(names)
	fmt.Println(names[0], names[1], names[2])
}
""",
}
