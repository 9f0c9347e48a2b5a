/** A model's configuration as its repository states it, checked and resolved once, and the rope tables it implies. */
@NullMarked
package dev.baton.model.config;

import org.jspecify.annotations.NullMarked;
