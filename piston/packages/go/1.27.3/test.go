package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("us-east-1"))
	if err != nil {
		panic(err)
	}
	if s3.NewFromConfig(cfg) == nil || dynamodb.NewFromConfig(cfg) == nil || ec2.NewFromConfig(cfg) == nil {
		panic("a client is missing")
	}
	fmt.Println(http.StatusText(http.StatusOK), aws.SDKVersion != "")
	fmt.Println("OK")
}
