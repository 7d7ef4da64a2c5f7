use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use serde::Serialize;

#[derive(Serialize)]
struct Told {
    word: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("eu-west-1")).no_credentials().load().await;
    let (_s3, _sts) = (aws_sdk_s3::Client::new(&config), aws_sdk_sts::Client::new(&config));
    let _dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let (_ec2, _iam, _lambda) = (aws_sdk_ec2::Client::new(&config), aws_sdk_iam::Client::new(&config), aws_sdk_lambda::Client::new(&config));
    let (_ssm, _logs) = (aws_sdk_ssm::Client::new(&config), aws_sdk_cloudwatchlogs::Client::new(&config));
    let (_metrics, _models) = (aws_sdk_cloudwatch::Client::new(&config), aws_sdk_bedrockruntime::Client::new(&config));
    assert!(AttributeValue::S("a".into()).is_s());
    assert_eq!(serde_json::to_string(&Told { word: "ja".into() })?, r#"{"word":"ja"}"#);
    println!("OK");
    Ok(())
}
