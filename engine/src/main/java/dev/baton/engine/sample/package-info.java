/** Choosing the next token, and log probabilities. */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.sample;
