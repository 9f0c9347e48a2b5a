/** What one device of one trace says by itself. */
@NullMarked
package dev.baton.trace.analyse;

import org.jspecify.annotations.NullMarked;
