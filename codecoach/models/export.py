"""A payload as a program that sends it, for each SDK. Pictures are left out: a program reads them from files of its own."""

import json
import textwrap
from collections.abc import Callable
from pprint import pformat
from typing import Any, Final

from codecoach.models.payloads import Payload

# What of a whole answer is its text, by format: as an expression of Python, JavaScript, Go, PHP and of the CLI's --query.
_ANSWERS: Final = {
    "claude_messages": ("content", 0, "text"),
    "claude_text": ("completion",),
    "mistral_text": ("outputs", 0, "text"),
}


def program(payload: Payload, sdk: str) -> str:
    """The program for an SDK of `SDKS`. Credentials and region come from where the SDK looks for them."""
    write, _language = SDKS[sdk]
    return write(payload, _without_pictures(payload.json()["body"]))


def has_pictures(payload: Payload) -> bool:
    turns = payload.body.get("messages", [])
    return any("text" not in block for turn in turns for block in turn["content"])


def _without_pictures(body: dict[str, Any]) -> dict[str, Any]:
    def kept(turn: dict[str, Any]) -> dict[str, Any]:
        return {**turn, "content": [block for block in turn["content"] if "text" in block]}

    return {**body, "messages": [kept(turn) for turn in body["messages"]]} if "messages" in body else body


def _boto3(payload: Payload, body: dict[str, Any]) -> str:
    head = f'import boto3\n\nclient = boto3.client("bedrock-runtime")\nbody = {_python(body)}\n'
    if payload.operation == "Converse":
        return head + textwrap.dedent(f"""\
            response = client.converse(modelId={payload.model_id!r}, **body)
            for block in response["output"]["message"]["content"]:
                print(block.get("text", ""))
            """)
    return f"import json\n\n{head}" + textwrap.dedent(f"""\
        response = client.invoke_model(modelId={payload.model_id!r}, body=json.dumps(body))
        answer = json.loads(response["body"].read())
        print(answer{_subscripts(payload)})
        """)


def _langchain(payload: Payload, body: dict[str, Any]) -> str:
    if "prompt" in body:
        parameters = {name: value for name, value in body.items() if name != "prompt"}
        return textwrap.dedent(f"""\
            from langchain_aws import BedrockLLM

            model = BedrockLLM(model={payload.model_id!r}, model_kwargs={parameters!r})
            print(model.invoke({body["prompt"]!r}))
            """)
    inference = body.get("inferenceConfig", body)
    names = {"maxTokens": "max_tokens", "topP": "top_p", "stopSequences": "stop_sequences"}
    known = ("max_tokens", "temperature", "top_p", "stop_sequences")
    given = {names.get(name, name): value for name, value in inference.items()}
    arguments = {"model": payload.model_id} | {name: given[name] for name in known if name in given}
    if "top_k" in given:
        arguments["additional_model_request_fields"] = {"top_k": given["top_k"]}
    system = _system(body)
    messages = [("system", system)] if system else []
    messages += [(("human" if turn["role"] == "user" else "ai"), _text(turn)) for turn in body["messages"]]
    listed = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    return (
        f"from langchain_aws import ChatBedrockConverse\n\nmodel = ChatBedrockConverse(\n{listed})\n"
        f"messages = {_python(messages)}\nprint(model.invoke(messages).text)\n"
    )


def _javascript(payload: Payload, body: dict[str, Any]) -> str:
    command = "ConverseCommand" if payload.operation == "Converse" else "InvokeModelCommand"
    head = textwrap.dedent(f"""\
        import {{ BedrockRuntimeClient, {command} }} from "@aws-sdk/client-bedrock-runtime";

        const client = new BedrockRuntimeClient();
        """)
    head += f"const body = {_json(body)};\n"
    model = json.dumps(payload.model_id)
    if payload.operation == "Converse":
        return head + textwrap.dedent(f"""\
            const response = await client.send(new ConverseCommand({{ modelId: {model}, ...body }}));
            for (const block of response.output.message.content) console.log(block.text ?? "");
            """)
    return head + textwrap.dedent(f"""\
        const response = await client.send(
          new InvokeModelCommand({{ modelId: {model}, contentType: "application/json", body: JSON.stringify(body) }}),
        );
        const answer = JSON.parse(new TextDecoder().decode(response.body));
        console.log(answer{_dotted(payload)});
        """)


def _go(payload: Payload, body: dict[str, Any]) -> str:
    converse = payload.operation == "Converse"
    standard = ["context", "fmt", "log"] if converse else ["context", "encoding/json", "fmt", "log"]
    ours = [f"github.com/aws/aws-sdk-go-v2/{name}" for name in ("aws", "config", "service/bedrockruntime")]
    ours += ["github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"] if converse else []
    imports = "\n".join([*(f'\t"{name}"' for name in standard), "", *(f'\t"{name}"' for name in ours)])
    call = _go_converse(payload, body) if converse else _go_invoke(payload, body)
    return (
        f"package main\n\nimport (\n{imports}\n)\n\nfunc main() {{\n\tctx := context.Background()\n"
        "\tcfg, err := config.LoadDefaultConfig(ctx)\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        f"\tclient := bedrockruntime.NewFromConfig(cfg)\n{call}}}\n"
    )


def _go_converse(payload: Payload, body: dict[str, Any]) -> str:
    roles = {"user": "types.ConversationRoleUser", "assistant": "types.ConversationRoleAssistant"}
    lines = [f"\t\tModelId: aws.String({_quoted(payload.model_id)}),"]
    if system := _system(body):
        text = f"&types.SystemContentBlockMemberText{{Value: {_quoted(system)}}}"
        lines.append(f"\t\tSystem: []types.SystemContentBlock{{{text}}},")
    lines.append("\t\tMessages: []types.Message{")
    for turn in body["messages"]:
        text = f"&types.ContentBlockMemberText{{Value: {_quoted(_text(turn))}}}"
        lines.append(f"\t\t\t{{Role: {roles[turn['role']]}, Content: []types.ContentBlock{{{text}}}}},")
    lines.append("\t\t},")
    kinds: dict[str, Callable[[Any], str]] = {
        "maxTokens": lambda value: f"MaxTokens: aws.Int32({value})",
        "temperature": lambda value: f"Temperature: aws.Float32({value})",
        "topP": lambda value: f"TopP: aws.Float32({value})",
        "stopSequences": lambda value: f"StopSequences: []string{{{', '.join(map(_quoted, value))}}}",
    }
    inference = ", ".join(kinds[name](value) for name, value in body["inferenceConfig"].items())
    lines.append(f"\t\tInferenceConfig: &types.InferenceConfiguration{{{inference}}},")
    return (
        "\tresponse, err := client.Converse(ctx, &bedrockruntime.ConverseInput{\n"
        + "\n".join(lines)
        + "\n\t})\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        "\toutput := response.Output.(*types.ConverseOutputMemberMessage)\n"
        "\tfor _, block := range output.Value.Content {\n"
        "\t\tif text, ok := block.(*types.ContentBlockMemberText); ok {\n\t\t\tfmt.Println(text.Value)\n\t\t}\n\t}\n"
    )


def _go_invoke(payload: Payload, body: dict[str, Any]) -> str:
    shapes = {
        "claude_messages": ("Content []struct{ Text string }", "answer.Content[0].Text"),
        "claude_text": ("Completion string", "answer.Completion"),
        "mistral_text": ("Outputs []struct{ Text string }", "answer.Outputs[0].Text"),
    }
    field, text = shapes[payload.format]
    return (
        f"\tbody := {_quoted(json.dumps(body, ensure_ascii=False))}\n"
        "\tresponse, err := client.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{\n"
        f"\t\tModelId: aws.String({_quoted(payload.model_id)}),\n"
        '\t\tContentType: aws.String("application/json"),\n'
        "\t\tBody: []byte(body),\n"
        "\t})\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        f"\tvar answer struct{{ {field} }}\n"
        "\tif err := json.Unmarshal(response.Body, &answer); err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        f"\tfmt.Println({text})\n"
    )


def _rust(payload: Payload, body: dict[str, Any]) -> str:
    converse = payload.operation == "Converse"
    uses = (
        "use aws_sdk_bedrockruntime::types::{\n"
        "    ContentBlock, ConversationRole, InferenceConfiguration, Message, SystemContentBlock,\n};\n"
        if converse
        else "use aws_sdk_bedrockruntime::primitives::Blob;\n"
    )
    if converse and not _system(body):
        uses = uses.replace(", SystemContentBlock", "")
    call = _rust_converse(payload, body) if converse else _rust_invoke(payload, body)
    return (
        f"{uses}use aws_sdk_bedrockruntime::Client;\n\n#[tokio::main]\n"
        "async fn main() -> Result<(), Box<dyn std::error::Error>> {\n"
        "    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;\n"
        f"    let client = Client::new(&config);\n{call}    Ok(())\n}}\n"
    )


def _rust_converse(payload: Payload, body: dict[str, Any]) -> str:
    lines = [f"        .model_id({_raw(payload.model_id)})"]
    if system := _system(body):
        lines.append(f"        .system(SystemContentBlock::Text({_raw(system)}.into()))")
    for turn in body["messages"]:
        role = "User" if turn["role"] == "user" else "Assistant"
        lines += [
            "        .messages(",
            "            Message::builder()",
            f"                .role(ConversationRole::{role})",
            f"                .content(ContentBlock::Text({_raw(_text(turn))}.into()))",
            "                .build()?,",
            "        )",
        ]
    kinds: dict[str, Callable[[Any], str]] = {
        "maxTokens": lambda value: f".max_tokens({value})",
        "temperature": lambda value: f".temperature({float(value)})",
        "topP": lambda value: f".top_p({float(value)})",
        "stopSequences": lambda value: "".join(f".stop_sequences({_raw(text)})" for text in value),
    }
    inference = "".join(kinds[name](value) for name, value in body["inferenceConfig"].items())
    lines.append(f"        .inference_config(InferenceConfiguration::builder(){inference}.build())")
    return (
        "    let response = client\n        .converse()\n" + "\n".join(lines) + "\n        .send()\n        .await?;\n"
        '    let output = response.output().ok_or("no output")?;\n'
        '    let message = output.as_message().map_err(|_| "no message")?;\n'
        "    for block in message.content() {\n"
        '        if let ContentBlock::Text(text) = block {\n            println!("{text}");\n        }\n    }\n'
    )


def _rust_invoke(payload: Payload, body: dict[str, Any]) -> str:
    path = "".join(f"[{json.dumps(step)}]" for step in _ANSWERS[payload.format])
    return (
        f"    let body = {_raw(json.dumps(body, ensure_ascii=False))};\n"
        "    let response = client\n        .invoke_model()\n"
        f"        .model_id({_raw(payload.model_id)})\n"
        '        .content_type("application/json")\n'
        "        .body(Blob::new(body))\n        .send()\n        .await?;\n"
        "    let answer: serde_json::Value = serde_json::from_slice(response.body().as_ref())?;\n"
        f'    println!("{{}}", answer{path}.as_str().unwrap_or_default());\n'
    )


def _php(payload: Payload, body: dict[str, Any]) -> str:
    model = json.dumps(payload.model_id)
    head = (
        "<?php\nrequire 'vendor/autoload.php';\n\n"
        "$client = new Aws\\BedrockRuntime\\BedrockRuntimeClient([\n"
        "    'region' => getenv('AWS_REGION') ?: 'us-east-1',\n    'version' => 'latest',\n]);\n"
        f"$body = <<<'JSON'\n{_json(body)}\nJSON;\n"
    )
    if payload.operation == "Converse":
        return head + (
            f"$response = $client->converse(['modelId' => {model}] + json_decode($body, true));\n"
            "foreach ($response['output']['message']['content'] as $block) {\n"
            "    echo $block['text'] ?? '', \"\\n\";\n}\n"
        )
    return head + (
        "$response = $client->invokeModel([\n"
        f"    'modelId' => {model},\n    'contentType' => 'application/json',\n    'body' => $body,\n]);\n"
        f"$answer = json_decode($response['body'], true);\necho $answer{_subscripts(payload)}, \"\\n\";\n"
    )


def _cli(payload: Payload, body: dict[str, Any]) -> str:
    if payload.operation == "Converse":
        given = _json({"modelId": payload.model_id, **body})
        return (
            f"cat > request.json <<'JSON'\n{given}\nJSON\n"
            "aws bedrock-runtime converse --cli-input-json file://request.json \\\n"
            "  --query 'output.message.content[].text' --output text\n"
        )
    path = ".".join(str(step) for step in _ANSWERS[payload.format]).replace(".0.", "[0].")
    return (
        f"cat > request.json <<'JSON'\n{_json(body)}\nJSON\n"
        f"aws bedrock-runtime invoke-model --model-id '{payload.model_id}' \\\n"
        "  --content-type application/json --body fileb://request.json answer.json > /dev/null\n"
        f"jq -r '.{path}' answer.json\n"
    )


# id -> what writes it, and the highlighter's name of its language
SDKS: Final[dict[str, tuple[Callable[[Payload, dict[str, Any]], str], str]]] = {
    "boto3": (_boto3, "python"),
    "langchain-aws": (_langchain, "python"),
    "JavaScript": (_javascript, "javascript"),
    "Go": (_go, "go"),
    "Rust": (_rust, "rust"),
    "PHP": (_php, "php"),
    "AWS CLI": (_cli, "bash"),
}


def _system(body: dict[str, Any]) -> str:
    system = body.get("system") or ""
    return system if isinstance(system, str) else "\n\n".join(block["text"] for block in system)


def _text(turn: dict[str, Any]) -> str:
    return "\n\n".join(block["text"] for block in turn["content"])


def _subscripts(payload: Payload) -> str:
    return "".join(f"[{step!r}]" for step in _ANSWERS[payload.format])


def _dotted(payload: Payload) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in _ANSWERS[payload.format])


def _python(value: object) -> str:
    return pformat(value, width=100, sort_dicts=False)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _quoted(text: str) -> str:
    """A string as Go writes it: JSON's escapes are Go's, but for the halves of characters, which are not escaped here."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _raw(text: str) -> str:
    """A string as Rust writes it, raw, between as many `#` as it takes."""
    text, marks = text.replace("\r", ""), "#"
    while f'"{marks}' in text:
        marks += "#"
    return f'r{marks}"{text}"{marks}'
