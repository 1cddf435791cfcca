#!/bin/sh
# Plain curl at the token endpoint: what a shell script of a caller does. CURL_CA_BUNDLE says whom to trust.
set -u
failed=0
answer="$WORK_FOLDER/curl-answer.json"
jwt_bearer=urn:ietf:params:oauth:client-assertion-type:jwt-bearer
exchange=urn:ietf:params:oauth:grant-type:token-exchange
access_token=urn:ietf:params:oauth:token-type:access_token

# ask CURL-ARGUMENTS: the answer goes to a file, its status to $status
ask() {
  status="$(curl --silent --show-error --max-time 30 --output "$answer" --write-out '%{http_code}' "$@")"
}

# check TITLE STATUS PATTERN: judges the last answer; never prints it, it may hold a token
check() {
  if [ "$status" = "$2" ] && grep -Eq "$3" "$answer"; then
    echo "ok      curl: $1"
  else
    failed=1
    echo "failed  curl: $1: expected status $2, got $status $(grep -Eo '"(error|code)": *"[^"]*"' "$answer" | tr '\n' ' ')"
  fi
}

client_credentials() {
  ask "$BROKER_URL/$TENANT_ID/oauth2/v2.0/token" -d grant_type=client_credentials -d "client_id=$1" \
    -d "client_assertion_type=$jwt_bearer" --data-urlencode "client_assertion@$2" \
    --data-urlencode scope=https://ml.azure.com/.default
}

token_exchange() {
  ask "$BROKER_URL/oauth2/token" -d "grant_type=$exchange" -d "subject_token_type=$access_token" \
    --data-urlencode "subject_token@$2" --data-urlencode "resource=$BROKER_URL/workspaces/prod/endpoints/$1"
}

client_credentials "$CLIENT_ID" "$CALLER_TOKEN_FILE"
check 'gets a token by client credentials' 200 '"access_token": *"eyJ'
client_credentials "$UNKNOWN_CLIENT_ID" "$CALLER_TOKEN_FILE"
check 'is refused for an unknown client id' 400 '"error": *"invalid_target"'
token_exchange fraud-aml "$CALLER_TOKEN_FILE"
check 'gets the token of an endpoint by token exchange' 200 '"access_token": *"eyJ'
token_exchange fraud-aml "$STRANGER_TOKEN_FILE"
check 'is refused a token exchange for a stranger' 400 '"error": *"invalid_target"'
ask "$BROKER_URL/workspaces/prod/token" -H "Authorization: Bearer $(cat "$CALLER_TOKEN_FILE")" \
  -H 'Content-Type: application/json' -d '{}'
check 'gets a workspace token at the route of its own' 200 '"accessToken": *"eyJ'
ask "$BROKER_URL/workspaces/prod/token" -H "Authorization: Bearer $(cat "$STRANGER_TOKEN_FILE")" \
  -H 'Content-Type: application/json' -d '{}'
check 'is refused a workspace token for a stranger' 403 '"code": *"not_granted"'
exit "$failed"
