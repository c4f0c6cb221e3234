// What an app on openai-node does. Started by tests/e2e/test_stacks.py.
// Only baseURL and the key are the gateway's.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const access = { baseURL: `${process.env.BASE_URL}/v1`, maxRetries: 0 };
const client = new OpenAI({ ...access, apiKey: process.env.GATEWAY_KEY });

const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather = { type: "function", function: { name: "get_weather", parameters, strict: true } };
const recipe = {
  type: "object",
  properties: { dish: { type: "string" }, minutes: { type: "integer" } },
  required: ["dish", "minutes"],
  additionalProperties: false,
};

function checkUsage(usage) {
  assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
}

async function chat(model) {
  const answer = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "What is a gateway?" }],
  });
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.choices[0].finish_reason, "stop");
  checkUsage(answer.usage);
}

async function stream(model) {
  const chunks = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "Count to five." }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let [text, last] = ["", undefined];
  for await (const chunk of chunks) {
    assert.equal(chunk.object, "chat.completion.chunk");
    text += chunk.choices[0]?.delta.content ?? "";
    last = chunk;
  }
  assert.ok(text);
  checkUsage(last.usage);
}

// The client itself runs the loop: it calls the function and sends its result back.
async function tools(model) {
  const cities = [];
  const getWeather = ({ city }) => {
    cities.push(city);
    return `${city}: 4 degrees`;
  };
  const run = client.chat.completions.runTools({
    model,
    messages: [{ role: "user", content: "get_weather of Oslo, please." }],
    tools: [
      { type: "function", function: { name: "get_weather", parameters, parse: JSON.parse, function: getWeather } },
    ],
  });
  assert.ok(await run.finalContent());
  assert.equal(typeof cities[0], "string");
}

async function streamedTools(model) {
  const final = await client.chat.completions
    .stream({
      model,
      messages: [{ role: "user", content: "get_weather of Rome, please." }],
      tools: [weather],
      tool_choice: "required",
    })
    .finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
}

async function structured(model) {
  const answer = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "A recipe, please." }],
    response_format: { type: "json_schema", json_schema: { name: "recipe", schema: recipe, strict: true } },
  });
  const made = JSON.parse(answer.choices[0].message.content);
  assert.equal(typeof made.dish, "string");
  assert.ok(Number.isInteger(made.minutes));
}

async function responses(model) {
  const answer = await client.responses.create({ model, input: "Hello!", store: false });
  assert.ok(answer.output_text);
  let text = "";
  const events = await client.responses.create({ model, input: "Hello!", store: false, stream: true });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, answer.output_text);
}

async function embeddings() {
  const answer = await client.embeddings.create({
    model: "text-embedding-3-small",
    input: ["one", "two"],
  });
  assert.deepEqual(answer.data.map((item) => item.index), [0, 1]);
  assert.ok(answer.data[0].embedding.length > 10);
}

async function files() {
  const made = await client.files.create({
    file: await toFile(Buffer.from("kept as it is\n"), "note.txt"),
    purpose: "assistants",
  });
  assert.equal(await (await client.files.content(made.id)).text(), "kept as it is\n");
  assert.ok((await client.files.delete(made.id)).deleted);
  await assert.rejects(client.files.retrieve(made.id), OpenAI.NotFoundError);
}

async function images() {
  const made = await client.images.generate({ model: "gpt-image-1", prompt: "A harbour" });
  assert.equal(Buffer.from(made.data[0].b64_json, "base64").toString("latin1", 1, 4), "PNG");
}

async function audio() {
  const spoken = await client.audio.speech.create({
    model: "gpt-4o-mini-tts",
    voice: "alloy",
    input: "Good morning.",
    response_format: "wav",
  });
  const recording = Buffer.from(await spoken.arrayBuffer());
  const heard = await client.audio.transcriptions.create({
    model: "gpt-4o-transcribe",
    file: await toFile(recording, "morning.wav"),
  });
  assert.ok(heard.text);
}

async function errors() {
  const ask = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello!" }] };
  const stranger = new OpenAI({ ...access, apiKey: "not-a-key" });
  await assert.rejects(stranger.chat.completions.create(ask), OpenAI.AuthenticationError);
  await assert.rejects(
    client.chat.completions.create({ ...ask, model: "gpt-4o-minni" }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
}

for (const [family, model] of [
  ["", "gpt-4o-mini"],
  ["claude ", "claude-haiku-4-5"],
  ["gemini ", "gemini-2.5-flash"],
]) {
  for (const [name, use] of Object.entries({ chat, stream, tools, "streamed tools": streamedTools, structured })) {
    await use(model);
    console.log(`${family}${name} ok`);
  }
}
for (const [name, use] of Object.entries({ responses, embeddings, files, images, audio, errors })) {
  await use("claude-haiku-4-5");
  console.log(`${name} ok`);
}
