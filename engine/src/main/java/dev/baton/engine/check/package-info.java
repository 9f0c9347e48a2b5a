/** Holding a model folder against its stored outputs. */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.check;
