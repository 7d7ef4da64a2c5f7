"""What Bedrock's control plane says of models: ListFoundationModels, GetFoundationModel, ListInferenceProfiles."""

from collections.abc import Iterable, Mapping
from typing import Any

from codecoach.local.engine import ServedModel
from codecoach.local.wire.faults import AwsFault

REGION = "us-east-1"
ACCOUNT = "000000000000"
_MADE = "2026-01-01T00:00:00Z"


def foundation_models(models: Iterable[ServedModel], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ListFoundationModels."""
    summaries = [_summary(model) for model in models if model.listed]
    provider = parameters.get("byProvider")
    inference = parameters.get("byInferenceType")
    if parameters.get("byCustomizationType") or parameters.get("byOutputModality", "TEXT") != "TEXT":
        summaries = []
    return {
        "modelSummaries": [
            summary
            for summary in summaries
            if (not provider or summary["providerName"].lower() == provider.lower())
            and (not inference or inference in summary["inferenceTypesSupported"])
        ]
    }


def foundation_model(models: Iterable[ServedModel], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of GetFoundationModel. Raises a ResourceNotFoundException."""
    wanted = parameters.get("modelIdentifier", "").rsplit("/", 1)[-1]
    for model in models:
        if model.id == wanted:
            return {"modelDetails": _summary(model)}
    raise AwsFault(
        "ResourceNotFoundException", f"Could not resolve the foundation model from the model identifier: {wanted}"
    )


def inference_profiles(models: Iterable[ServedModel], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ListInferenceProfiles, by pages."""
    system = parameters.get("typeEquals", "SYSTEM_DEFINED") == "SYSTEM_DEFINED"
    profiles = [_profile(geo, model) for model in models if model.listed for geo in model.geos] if system else []
    start = int(parameters.get("nextToken") or 0)
    end = start + (parameters.get("maxResults") or 1000)
    more = {"nextToken": str(end)} if end < len(profiles) else {}
    return {"inferenceProfileSummaries": profiles[start:end], **more}


def _arn(model: ServedModel) -> str:
    return f"arn:aws:bedrock:{REGION}::foundation-model/{model.id}"


def _summary(model: ServedModel) -> dict[str, Any]:
    return {
        "modelArn": _arn(model),
        "modelId": model.id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": ["TEXT", "IMAGE"] if model.vision else ["TEXT"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": [],
        "inferenceTypesSupported": ["INFERENCE_PROFILE"] if model.geos else ["ON_DEMAND"],
        "modelLifecycle": {"status": "LEGACY" if model.legacy else "ACTIVE"},
    }


def _profile(geo: str, model: ServedModel) -> dict[str, Any]:
    profile_id = f"{geo}.{model.id}"
    return {
        "inferenceProfileId": profile_id,
        "inferenceProfileName": f"{geo.upper()} {model.name}",
        "inferenceProfileArn": f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/{profile_id}",
        "description": f"Routes requests to {model.name} in {geo.upper()}.",
        "createdAt": _MADE,
        "updatedAt": _MADE,
        "models": [{"modelArn": _arn(model)}],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }
