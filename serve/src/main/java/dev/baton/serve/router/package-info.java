/**
 * {@code baton route}: one address in front of many servers, Baton's or SGLang's. Everything of one request happens on
 * the event loop of its client's connection; answers pass through as they arrive.
 */
@NullMarked
package dev.baton.serve.router;

import org.jspecify.annotations.NullMarked;
