/** The ranks of one model replica: threads, their start, their work and their end. */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.parallel;
