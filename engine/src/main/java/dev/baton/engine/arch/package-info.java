/**
 * Model layers, written once against {@code Ops} and a communicator, and the architectures as records of block choices
 * and weight names.
 */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.arch;
