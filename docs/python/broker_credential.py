import json, threading, time, urllib.error, urllib.parse, urllib.request
from azure.core.credentials import AccessToken

URN = "urn:ietf:params:oauth:"

class BrokerCredential:
    def __init__(self, broker_url, workspace, get_caller_token):
        self.url, self.resource = f"{broker_url}/oauth2/token", f"{broker_url}/workspaces/{workspace}"
        self.get_caller_token, self.kept, self.lock = get_caller_token, {}, threading.Lock()

    def get_token(self, *scopes, **_):  # SDK v2: MLClient(BrokerCredential(...), ...)
        with self.lock:
            token, renew_at = self.kept.get(scopes, (AccessToken("", 0), 0))
            now = time.time()
            if now < renew_at: return token
            form = {"grant_type": URN + "grant-type:token-exchange", "subject_token": self.get_caller_token(),
                    "subject_token_type": URN + "token-type:access_token", "resource": self.resource, "scope": " ".join(scopes)}
            try:
                with urllib.request.urlopen(self.url, urllib.parse.urlencode(form).encode(), timeout=10) as answer:
                    body = json.load(answer)
                token, renew_at = AccessToken(body["access_token"], int(now) + body["expires_in"]), now + body["refresh_in"]
            except OSError as error:  # the token in hand serves on while it is valid
                if now >= token.expires_on: raise RuntimeError(error.read().decode() if hasattr(error, "read") else error) from None
                renew_at = min(now + 30, token.expires_on)
            self.kept[scopes] = token, renew_at
            return token

    def get_token_for_audience(self, audience):  # SDK v1: TokenAuthentication(credential.get_token_for_audience)
        name = audience.replace("management.core.windows.net", "management.azure.com").replace("management.core.", "management.")
        return self.get_token(name.rstrip("/") + "/.default").token
