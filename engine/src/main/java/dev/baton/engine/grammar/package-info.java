/**
 * Constrained decoding: a regular expression, a JSON schema or a grammar becomes a pushdown automaton over bytes, and
 * that, over the tokens of a vocabulary, a mask of the tokens that may come next.
 *
 * <p>{@code Expression} (what may be matched, in code points) is what {@code RegexParser}, {@code SchemaRules} and
 * {@code EbnfParser} make; {@code ProgramBuilder} turns a set of rules into a {@code Program} (states, byte edges, rule
 * calls); {@code MaskTable} finds by walking the {@code TokenTrie} which tokens each state takes, once a state;
 * {@code Matcher} follows one answer.
 */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.grammar;
