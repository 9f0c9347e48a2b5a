/** What server logs say, and what that amounts to. */
@NullMarked
package dev.baton.trace.log;

import org.jspecify.annotations.NullMarked;
