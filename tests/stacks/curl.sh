#!/bin/sh
# What a script with curl does: no client at all. Started by tests/e2e/test_stacks.py.
set -eu

DIRECTORY=$(mktemp -d)
trap 'rm -rf "$DIRECTORY"' EXIT
ANSWER="$DIRECTORY/answer"

fail() { echo "$1:" >&2; cat "$ANSWER" >&2; exit 1; }
holds() { grep -q -- "$2" "$ANSWER" || fail "$1 does not hold $2"; }

# ask PATH BODY [more of curl's words]: POST, and the answer is in $ANSWER; prints the status
ask() {
  path=$1; body=$2; shift 2
  curl -sS --max-time 30 -o "$ANSWER" -w '%{http_code}' "$BASE_URL$path" \
    -H "Authorization: Bearer $GATEWAY_KEY" -H "Content-Type: application/json" -d "$body" "$@"
}
expect() { [ "$2" = "$3" ] || fail "$1 answered $3, not $2"; }

HELLO='"messages": [{"role": "user", "content": "Hello!"}]'
TOOL='{"type": "function", "function": {"name": "get_weather", "parameters":
  {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}'

for at in ":gpt-4o-mini" "claude :claude-haiku-4-5" "gemini :gemini-2.5-flash"; do
  family=${at%%:*}; model=${at##*:}

  expect chat 200 "$(ask /v1/chat/completions "{\"model\": \"$model\", $HELLO}")"
  holds chat '"content":"[^"]'
  holds chat '"completion_tokens":[1-9]'
  echo "${family}chat ok"

  expect stream 200 "$(ask /v1/chat/completions "{\"model\": \"$model\", $HELLO,
    \"stream\": true, \"stream_options\": {\"include_usage\": true}}" --no-buffer)"
  holds stream '^data: {.*"delta":{.*"content":"[^"]'
  holds stream '^data: {.*"completion_tokens":[1-9]'
  [ "$(grep '^data:' "$ANSWER" | tail -n 1)" = "data: [DONE]" ] || fail "the stream has no end"
  echo "${family}stream ok"

  expect tools 200 "$(ask /v1/chat/completions "{\"model\": \"$model\", $HELLO,
    \"tools\": [$TOOL], \"tool_choice\": \"required\"}")"
  holds tools '"finish_reason":"tool_calls"'
  holds tools '"arguments":"{\\"city\\"'
  echo "${family}tools ok"
done

expect embeddings 200 "$(ask /v1/embeddings \
  '{"model": "text-embedding-3-small", "input": ["one", "two"]}')"
holds embeddings '"index":1'
echo "embeddings ok"

expect messages 200 "$(ask /v1/messages \
  "{\"model\": \"claude-haiku-4-5\", \"max_tokens\": 100, $HELLO}" \
  -H "anthropic-version: 2023-06-01")"
holds messages '"type":"message"'
echo "messages ok"

expect gemini 200 "$(ask '/v1beta/models/gemini-2.5-flash:generateContent' \
  '{"contents": [{"role": "user", "parts": [{"text": "Hello!"}]}]}')"
holds gemini '"candidates":'
echo "gemini ok"

printf 'kept as it is\n' > "$DIRECTORY/note.txt"
curl -sS --max-time 30 -o "$ANSWER" "$BASE_URL/v1/files" -H "Authorization: Bearer $GATEWAY_KEY" \
  -F purpose=assistants -F "file=@$DIRECTORY/note.txt"
FILE=$(grep -o 'file-[A-Za-z0-9_-]*' "$ANSWER" | head -n 1)
[ -n "$FILE" ] || fail "the file has no id"
curl -sS --max-time 30 -o "$ANSWER" "$BASE_URL/v1/files/$FILE/content" \
  -H "Authorization: Bearer $GATEWAY_KEY"
cmp -s "$ANSWER" "$DIRECTORY/note.txt" || fail "the file came back changed"
echo "files ok"

expect errors 404 "$(ask /v1/chat/completions "{\"model\": \"gpt-4o-minni\", $HELLO}")"
holds errors '"code":"model_not_found"'
expect errors 400 "$(ask /v1/chat/completions "{\"model\": ")"
GATEWAY_KEY=not-a-key
expect errors 401 "$(ask /v1/chat/completions "{\"model\": \"gpt-4o-mini\", $HELLO}")"
holds errors '"code":"invalid_api_key"'
echo "errors ok"
