"""The credential of docs/clients.md on the published azure-core and azure-ai-ml: SDK v2's get_token, SDK v1's audience."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docs/python"))

from broker_credential import BrokerCredential  # noqa: E402
from checks import AML, ARM, BROKER, caller_token, expect_refusal, expect_token, run, stranger_token  # noqa: E402

asked = []


def counted():
    asked.append(1)
    return caller_token()


credential = BrokerCredential(BROKER, "prod", counted)


def serves_v2():
    expect_token(credential.get_token(AML, tenant_id=None, enable_cae=True).token, "https://ml.azure.com")
    assert credential.get_token(AML) is credential.get_token(AML) and len(asked) == 1, "expected one request for one scope"


def serves_v1():
    arm = credential.get_token_for_audience("https://management.core.windows.net/")
    expect_token(arm, "https://management.azure.com")
    expect_token(credential.get_token_for_audience("https://ml.azure.com"), "https://ml.azure.com")


def serves_the_old_one():
    fresh = BrokerCredential(BROKER, "prod", caller_token)
    token = fresh.get_token(ARM)
    fresh.kept[(ARM,)] = (token, 0)
    fresh.url = "https://localhost:1/oauth2/token"
    assert fresh.get_token(ARM) is token, "expected the token in hand while the broker is away"


def is_refused():
    expect_refusal(lambda: BrokerCredential(BROKER, "prod", stranger_token).get_token(AML), RuntimeError, "invalid_target")


run(
    "docs/python/broker_credential.py",
    [
        ("gets a token as a TokenCredential of SDK v2, once for each scope", serves_v2),
        ("gets a token for the audiences that SDK v1 asks for", serves_v1),
        ("gives the token in hand while the broker is away", serves_the_old_one),
        ("shows invalid_target to a stranger", is_refused),
    ],
)
