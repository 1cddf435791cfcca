"""azure-identity for Python; WorkloadIdentityCredential is configured by AZURE_* alone."""

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, WorkloadIdentityCredential
from checks import AML, ARM, BROKER, CLIENT, TENANT, UNKNOWN_CLIENT, caller_token, expect_refusal, expect_token, run, stranger_token


def by_assertion(client_id, token=caller_token):
    return ClientAssertionCredential(TENANT, client_id, token, authority=BROKER, disable_instance_discovery=True)


def gets_tokens():
    credential = by_assertion(CLIENT)
    expect_token(credential.get_token(AML).token, "https://ml.azure.com")
    expect_token(credential.get_token(ARM).token, "https://management.azure.com")


def gets_refresh_time():
    info = by_assertion(CLIENT).get_token_info(AML)
    assert info.refresh_on and info.refresh_on < info.expires_on, "expected refresh_on before expires_on"


def is_refused():
    expect_refusal(lambda: by_assertion(UNKNOWN_CLIENT).get_token(AML), ClientAuthenticationError, "invalid_target")
    expect_refusal(lambda: by_assertion(CLIENT, stranger_token).get_token(AML), ClientAuthenticationError, "invalid_target")
    expect_refusal(lambda: by_assertion(CLIENT, lambda: "no token").get_token(AML), ClientAuthenticationError, "invalid_client")


def workload_gets_token():
    expect_token(WorkloadIdentityCredential(disable_instance_discovery=True).get_token(AML).token, "https://ml.azure.com")


def workload_is_refused():
    credential = WorkloadIdentityCredential(client_id=UNKNOWN_CLIENT, disable_instance_discovery=True)
    expect_refusal(lambda: credential.get_token(AML), ClientAuthenticationError, "invalid_target")


run(
    "azure-identity (Python)",
    [
        ("ClientAssertionCredential gets tokens for Azure ML and ARM", gets_tokens),
        ("ClientAssertionCredential learns when to ask again", gets_refresh_time),
        ("ClientAssertionCredential shows invalid_target and invalid_client", is_refused),
        ("WorkloadIdentityCredential gets a token by environment variables", workload_gets_token),
        ("WorkloadIdentityCredential shows invalid_target", workload_is_refused),
    ],
)
