/** One rank: its weights, its KV cache and tables, and how it executes a step plan. */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.forward;
