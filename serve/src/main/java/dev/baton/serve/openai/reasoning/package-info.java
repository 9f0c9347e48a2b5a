/** Reasoning in the text of a model, told apart from its answer while it streams. */
package dev.baton.serve.openai.reasoning;
