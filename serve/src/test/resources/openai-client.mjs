// What OpenAI's Node client sees of a server; the Java test compares the printed lines.
import OpenAI from 'openai';

const baseURL = process.argv[2];
const client = new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0 });
const messages = [{ role: 'user', content: 'hi' }];
const model = 'fake';

const names = [];
for await (const one of await client.models.list()) names.push(one.id);
console.log('models:', names.join());

const chat = await client.chat.completions.create({ model, messages, max_completion_tokens: 3 });
console.log('chat:', chat.choices[0].message.content, chat.choices[0].finish_reason, chat.usage.completion_tokens);

const logprobs = (await client.chat.completions.create({
  model, messages, max_tokens: 3, logprobs: true, top_logprobs: 2,
})).choices[0].logprobs.content;
console.log('logprobs:', logprobs.length, logprobs[0].token, logprobs[0].logprob, logprobs[0].top_logprobs.length);

let text = '', reason = '', tokens = 0;
for await (const chunk of await client.chat.completions.create({
  model, messages, max_tokens: 3, stream: true, stream_options: { include_usage: true },
})) {
  for (const choice of chunk.choices) {
    text += choice.delta.content ?? '';
    reason = choice.finish_reason ?? reason;
  }
  tokens = chunk.usage?.completion_tokens ?? tokens;
}
console.log('stream:', text, reason, tokens);

const completion = await client.completions.create({ model, prompt: 'hi', max_tokens: 9, stop: ['d'], echo: true });
console.log('completion:', completion.choices[0].text, completion.choices[0].finish_reason);

try {
  await client.chat.completions.create({ model, messages, temperature: -1 });
} catch (e) {
  console.log('bad request:', e.status, e.error.message);
}
try {
  await client.models.retrieve('gpt-9');
} catch (e) {
  console.log('not found:', e.status, e.code);
}
try {
  await new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list();
} catch (e) {
  console.log('unauthorized:', e.status);
}

const stream = await client.chat.completions.create({ model, messages, max_tokens: 4000, stream: true });
for await (const chunk of stream) {
  if (chunk.choices[0].delta.content) break;
}
console.log('aborted:', stream.controller.signal.aborted);
