/** Baton inside a Java program: load a model, generate, no server. See {@code docs/in-process.md}. */
@NullMarked
package dev.baton;

import org.jspecify.annotations.NullMarked;
