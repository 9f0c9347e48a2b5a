/** What constrained decoding costs a step. */
package dev.baton.bench.grammar;
