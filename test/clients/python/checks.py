"""What the clients in Python share: one printed line for each check, and what they need to know from the environment."""

import base64
import json
import os
import sys
from pathlib import Path

BROKER = os.environ["BROKER_URL"]
TENANT = os.environ["TENANT_ID"]
CLIENT = os.environ["CLIENT_ID"]
UNKNOWN_CLIENT = os.environ["UNKNOWN_CLIENT_ID"]
AML = "https://ml.azure.com/.default"
ARM = "https://management.azure.com/.default"


def caller_token():
    """The caller's own token for the broker."""
    return Path(os.environ["CALLER_TOKEN_FILE"]).read_text()


def stranger_token():
    """The token of somebody whom no grant names."""
    return Path(os.environ["STRANGER_TOKEN_FILE"]).read_text()


def claims_of(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def expect_token(token, resource):
    claims = claims_of(token)
    found = (claims["aud"].rstrip("/"), claims["appid"])
    assert found == (resource, CLIENT), f"expected a token of {CLIENT} for {resource}, got {found}"


def expect_refusal(call, error_type, text):
    """The call must raise exactly this kind of error, and its text must say why."""
    try:
        call()
    except error_type as error:
        assert text in str(error), f"expected {text} in the error, got {error}"
        return
    raise AssertionError(f"expected {error_type.__name__} with {text}, got an answer")


def run(client, checks):
    failed = 0
    for title, check in checks:
        try:
            check()
            print(f"ok      {client}: {title}", flush=True)
        except Exception as error:  # the check failed, whatever the reason is
            failed += 1
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:600]
            print(f"failed  {client}: {title}: {reason}", flush=True)
    sys.exit(1 if failed else 0)
