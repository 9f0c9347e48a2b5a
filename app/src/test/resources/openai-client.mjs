// What OpenAI's Node client sees of a server of baton-nano; the Java test compares the printed lines.
import OpenAI from 'openai';

const baseURL = process.argv[2];
const client = new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Can you explain what Baton is?' }];
const model = 'baton-nano';

const names = [];
for await (const one of await client.models.list()) names.push(one.id);
console.log('models:', names.join());

const chat = await client.chat.completions.create({ model, messages, max_completion_tokens: 40 });
console.log('chat:', chat.choices[0].message.content, chat.choices[0].finish_reason);

const cut = await client.chat.completions.create({
  model, messages, max_tokens: 3, logprobs: true, top_logprobs: 2, n: 2,
});
const logprobs = cut.choices[0].logprobs.content;
console.log('logprobs:', cut.choices.length, logprobs.length, logprobs[0].top_logprobs.length,
    logprobs[0].logprob <= 0, logprobs.map(one => one.token).join('') === cut.choices[0].message.content);

let text = '', reason = '', tokens = 0;
for await (const chunk of await client.chat.completions.create({
  model, messages, max_tokens: 40, stream: true, stream_options: { include_usage: true },
})) {
  for (const choice of chunk.choices) {
    text += choice.delta.content ?? '';
    reason = choice.finish_reason ?? reason;
  }
  tokens = chunk.usage?.completion_tokens ?? tokens;
}
console.log('stream:', text === chat.choices[0].message.content, reason, tokens === chat.usage.completion_tokens);

const completion = await client.completions.create({
  model, prompt: '612+52=\n', max_tokens: 12, temperature: 0, stop: ['4'], echo: true,
});
console.log('completion:', JSON.stringify(completion.choices[0].text), completion.choices[0].finish_reason);

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

const stream = await client.completions.create({
  model, prompt: 'Story:', max_tokens: 2000, stream: true, ignore_eos: true,
});
for await (const chunk of stream) {
  if (chunk.choices[0].text) break;
}
console.log('aborted:', stream.controller.signal.aborted);
