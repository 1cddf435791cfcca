"""msal for Python: client credentials with an assertion."""

import msal
from checks import ARM, BROKER, CLIENT, TENANT, UNKNOWN_CLIENT, caller_token, expect_token, run, stranger_token


def ask(client_id, token=caller_token):
    application = msal.ConfidentialClientApplication(
        client_id, authority=f"{BROKER}/{TENANT}", client_credential={"client_assertion": token}, instance_discovery=False
    )
    return application.acquire_token_for_client([ARM])


def gets_token():
    answer = ask(CLIENT)
    assert "access_token" in answer, f"got {answer.get('error')}: {answer.get('error_description')}"
    expect_token(answer["access_token"], "https://management.azure.com")


def is_refused():
    refusals = [ask(UNKNOWN_CLIENT), ask(CLIENT, stranger_token), ask(CLIENT, lambda: "no token")]
    codes = [answer.get("error") for answer in refusals]
    assert codes == ["invalid_target", "invalid_target", "invalid_client"], f"got {codes}"


run("msal (Python)", [("gets a token for ARM", gets_token), ("shows invalid_target and invalid_client", is_refused)])
