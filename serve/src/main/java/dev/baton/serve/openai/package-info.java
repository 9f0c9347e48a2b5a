/** The OpenAI API: models, completions, chat completions. */
package dev.baton.serve.openai;
