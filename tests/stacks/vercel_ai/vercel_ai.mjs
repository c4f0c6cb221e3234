// What an app on the Vercel AI SDK does, over @ai-sdk/openai-compatible.
// Started by tests/e2e/test_stacks.py. Only baseURL and the key are the gateway's.
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const connect = (apiKey) =>
  createOpenAICompatible({
    name: "gateway",
    baseURL: `${process.env.BASE_URL}/v1`,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
const gateway = connect(process.env.GATEWAY_KEY);

function checkUsage(usage) {
  assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
}

async function chat(model) {
  const { text, usage } = await generateText({ model: gateway(model), prompt: "What is a gateway?" });
  assert.ok(text);
  checkUsage(usage);
}

async function stream(model) {
  const result = streamText({ model: gateway(model), prompt: "Count to five." });
  let text = "";
  for await (const piece of result.textStream) text += piece;
  assert.ok(text);
  assert.equal(await result.finishReason, "stop");
  checkUsage(await result.usage);
}

// The kit itself runs the loop: it calls the function and sends its result back.
async function tools(model) {
  const { steps, text } = await generateText({
    model: gateway(model),
    prompt: "get_weather of Oslo, please.",
    tools: {
      get_weather: tool({
        description: "The weather of a city",
        inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => `${city}: 4 degrees`,
      }),
    },
    stopWhen: stepCountIs(3),
  });
  assert.equal(steps.length, 2);
  assert.equal(typeof steps[0].toolResults[0].input.city, "string");
  assert.ok(text);
}

async function structured(model) {
  const { object } = await generateObject({
    model: gateway(model),
    schema: z.object({ dish: z.string(), minutes: z.number().int() }),
    prompt: "A recipe, please.",
  });
  assert.equal(typeof object.dish, "string");
}

async function embeddings() {
  const { embeddings: vectors } = await embedMany({
    model: gateway.textEmbeddingModel("text-embedding-3-small"),
    values: ["one", "two"],
  });
  assert.equal(vectors.length, 2);
  assert.ok(vectors[0].length > 10);
}

async function errors() {
  const refused = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
  const ask = { prompt: "Hello!", maxRetries: 0 };
  await assert.rejects(generateText({ model: connect("not-a-key")("gpt-4o-mini"), ...ask }), refused(401));
  await assert.rejects(generateText({ model: gateway("gpt-4o-minni"), ...ask }), refused(404));
}

for (const [family, model] of [
  ["", "gpt-4o-mini"],
  ["claude ", "claude-haiku-4-5"],
  ["gemini ", "gemini-2.5-flash"],
]) {
  for (const use of [chat, stream, tools, structured]) {
    await use(model);
    console.log(`${family}${use.name} ok`);
  }
}
for (const use of [embeddings, errors]) {
  await use();
  console.log(`${use.name} ok`);
}
