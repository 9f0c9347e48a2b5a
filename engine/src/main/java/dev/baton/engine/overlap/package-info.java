/** Two halves of a batch that compute in turn, so that one computes while the other's tokens travel. */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.overlap;
