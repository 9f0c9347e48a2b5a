/** The lines that a serving process logs, in SGLang's wording: what writes them and what reads them back. */
@NullMarked
package dev.baton.protocol.log;

import org.jspecify.annotations.NullMarked;
