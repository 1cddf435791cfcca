"""azure-ai-ml: MLClient works in a workspace with the tokens that the broker issues."""

import json
import os
from pathlib import Path

from azure.ai.ml import MLClient
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientAssertionCredential
from checks import BROKER, CLIENT, TENANT, UNKNOWN_CLIENT, caller_token, expect_refusal, run


def client_for(workspace, client_id=CLIENT):
    config = Path(os.environ["WORK_FOLDER"]) / f"{workspace}.json"
    names = {"subscription_id": os.environ["SUBSCRIPTION_ID"], "resource_group": os.environ["RESOURCE_GROUP"]}
    config.write_text(json.dumps({**names, "workspace_name": workspace}))
    credential = ClientAssertionCredential(TENANT, client_id, caller_token, authority=BROKER, disable_instance_discovery=True)
    return MLClient.from_config(credential, path=config, enable_telemetry=False)


def reads_workspace():
    workspace = client_for("ml-prod").workspaces.get("ml-prod")
    assert workspace.name == "ml-prod" and workspace.location == "westeurope", f"got {workspace.name}"


def lists_endpoints():
    names = [endpoint.name for endpoint in client_for("ml-prod").online_endpoints.list()]
    assert {"fraud-aml", "fraud-scorer"} <= set(names), f"got {names}"


def gets_keys():
    endpoints = client_for("ml-prod").online_endpoints
    keys = endpoints.get_keys("fraud-scorer")
    assert keys.primary_key and keys.secondary_key and keys.primary_key != keys.secondary_key, "expected two keys"
    token = endpoints.get_keys("fraud-aml")
    assert token.access_token and token.refresh_after_time_utc < token.expiry_time_utc, "expected a token with its times"


def is_refused():
    expect_refusal(
        lambda: client_for("ml-prod", UNKNOWN_CLIENT).workspaces.get("ml-prod"), ClientAuthenticationError, "invalid_target"
    )


def stays_in_its_workspace():
    expect_refusal(lambda: list(client_for("ml-dev").online_endpoints.list()), HttpResponseError, "AuthorizationFailed")


run(
    "azure-ai-ml",
    [
        ("MLClient.from_config reads the workspace", reads_workspace),
        ("MLClient lists online endpoints", lists_endpoints),
        ("MLClient.online_endpoints.get_keys gets keys, and the token of an endpoint in token mode", gets_keys),
        ("MLClient shows invalid_target for an unknown client id", is_refused),
        ("MLClient is refused by Azure in a workspace that the token does not open", stays_in_its_workspace),
    ],
)
