/** A modelled network and slow ranks on a machine that has neither: what {@code --rehearse} turns on. */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.rehearse;
