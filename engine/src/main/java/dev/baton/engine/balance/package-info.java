/**
 * Which expert lies in which slot, which replica a token goes to, how often each expert is chosen, and how experts move
 * between ranks while the server answers.
 */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.balance;
